//! Pages of recordings: complete, in order, and limited.

use std::sync::Mutex;

use proptest::prelude::*;
use tracing::Level;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::*;
use crate::measure::{
    EstimateOptions, Fix, Metric, Options, PathAccumulator, Point, WindowOptions, WindowUnit, Zone,
};
use crate::recording::CheckpointPolicy;
use crate::recording::{
    CheckpointStore, CommitPrecondition, ListQuery, OpenRequest, StoreFuture, Sweep, Swept,
};
use crate::service::path::shared::unix_ms;
use crate::service::path::testing;
use crate::store::MemoryStore;

/// Returns an accumulator whose summary has all optional fields.
fn rich() -> PathAccumulator {
    let options = Options::builder(Metric::Geodesic)
        .elevation(crate::measure::Elevation::ThreeDimensional)
        .max_gap_time_ns(u64::MAX)
        .max_gap(1000.5)
        .max_speed(2.5)
        .min_step(1.5)
        .max_accuracy_m(30.5)
        .reject_backward_time(true)
        .stopped_speed(0.5)
        .build()
        .unwrap();
    let mut accumulator = PathAccumulator::new(options);
    for (second, lat) in [(0, -1.1), (2, -1.10001), (3, -1.100011), (4, 55.3), (3, 55.4)] {
        let point = Point::geographic(lat, -170.123).unwrap();
        let fix = Fix::new(point).at_unix_ns(second << 30).unwrap();
        accumulator.extend(&[fix.with_z(lat * 7.7).unwrap()]).unwrap();
    }
    accumulator
}

async fn store(
    store: &MemoryStore,
    name: &RecordingName,
    accumulator: PathAccumulator,
    is_expired: bool,
) {
    let now_unix_ms = unix_ms();
    let expire_unix_ms = if is_expired { now_unix_ms } else { now_unix_ms + 1_000_000_000 };
    let options = Some(*accumulator.options());
    let opening = OpenRequest { options, now_unix_ms, expire_unix_ms, max_in_namespace: None };
    let opened = store.open(name.clone(), opening).await.unwrap();
    let precondition = CommitPrecondition { epoch: opened.epoch, committed_points: 0 };
    store.commit(name.clone(), precondition, Checkpoint { accumulator, ..opened }).await.unwrap();
}

fn shared(store: impl CheckpointStore) -> Arc<Shared> {
    Arc::new(testing::shared(Arc::new(store), CheckpointPolicy::default()))
}

/// Returns all pages in order.
async fn pages(shared: &Arc<Shared>, page_size: i32) -> Vec<pb::ListPathsResponse> {
    pages_of(shared, page_size, pb::PathView::Unspecified).await
}

async fn pages_of(
    shared: &Arc<Shared>,
    page_size: i32,
    view: pb::PathView,
) -> Vec<pb::ListPathsResponse> {
    let (mut pages, mut page_token, view) = (Vec::new(), String::new(), view.into());
    loop {
        let request = pb::ListPathsRequest { page_size, page_token, view, ..Default::default() };
        let page =
            list_paths(Arc::clone(shared), &Scope::unauthenticated(), request).await.unwrap();
        page_token = page.next_page_token.clone();
        pages.push(page);
        if page_token.is_empty() {
            return pages;
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn pages_are_limited_and_together_they_are_everything(
        kinds in prop::collection::vec((any::<bool>(), any::<bool>(), prop::bool::weighted(0.1)), 0..400),
        page_size in prop::sample::select(vec![1, 7, 99, 100, 101, 300, 1000, i32::MAX]),
    ) {
        block_on(async {
            let memory = MemoryStore::default();
            let (full, empty) = (rich(), PathAccumulator::new(Options::new(Metric::Planar)));
            let mut expected = Vec::new();
            for (index, &(is_long, is_rich, is_expired)) in kinds.iter().enumerate() {
                let filler = "x".repeat(if is_long { 124 } else { 1 });
                let name = RecordingName::from_id(&format!("{index:04}{filler}")).unwrap();
                let accumulator = if is_rich { full.clone() } else { empty.clone() };
                store(&memory, &name, accumulator, is_expired).await;
                if !is_expired {
                    expected.push(name.to_string());
                }
            }
            let pages = pages(&shared(memory), page_size).await;
            for (index, page) in pages.iter().enumerate() {
                assert!(page.encoded_len() <= PAGE_BYTES_MAX, "{} bytes", page.encoded_len());
                assert!(page.paths.len() <= (page_size as usize).min(PAGE_SIZE_MAX));
                // A page ends only because it is full.
                let largest = pages.iter().flat_map(|page| &page.paths).map(field_len).max();
                let is_last = index + 1 == pages.len();
                let is_full = page.encoded_len() + largest.unwrap_or(0) + TOKEN_BYTES_MAX > PAGE_BYTES_MAX;
                let expired = kinds.iter().filter(|kind| kind.2).count();
                assert!(is_last || is_full || page.paths.len() + expired >= page_size as usize);
            }
            let listed = pages.iter().flat_map(|page| &page.paths).map(|path| path.name.clone());
            assert_eq!(listed.collect::<Vec<_>>(), expected);
        });
    }
}

/// A store of damaged recordings. Many fit into a page. Counts how many are loaded at once.
struct Damaged {
    count: usize,
}

impl CheckpointStore for Damaged {
    fn open(&self, _: RecordingName, _: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        unreachable!()
    }

    fn commit(
        &self,
        _: RecordingName,
        _: CommitPrecondition,
        _: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        unreachable!()
    }

    fn load(&self, _: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        unreachable!()
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, crate::recording::Page> {
        assert!(limit <= STEP, "{limit} are loaded at once");
        let start = query.after.map_or(0, |name| name.id().parse::<usize>().unwrap() + 1);
        let page = (start..self.count).take(limit).map(|index| {
            let name = RecordingName::from_id(&format!("{index:05}")).unwrap();
            (name, Err(StoreError::Damaged("a bit".into())))
        });
        let page = page.collect();
        Box::pin(async { Ok(page) })
    }

    fn delete(&self, _: RecordingName) -> StoreFuture<'_, Option<u64>> {
        unreachable!()
    }

    fn sweep(&self, _: Sweep, _: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        unreachable!()
    }
}

#[tokio::test]
async fn a_page_has_at_most_1000_recordings() {
    let shared = shared(Damaged { count: 2_500 });
    for (page_size, expected) in [
        (i32::MAX, vec![1_000, 1_000, 500]),
        (1_001, vec![1_000, 1_000, 500]),
        (1_000, vec![1_000, 1_000, 500]),
        (999, vec![999, 999, 502]),
        (0, vec![PAGE_SIZE; 50]),
    ] {
        let pages = pages(&shared, page_size).await;
        let counts: Vec<_> = pages.iter().map(|page| page.paths.len()).collect();
        assert_eq!(counts, expected, "page_size {page_size}");
    }
}

/// Counts events at each level.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<Level>>>);

impl<S: tracing::Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }
}

#[tokio::test]
async fn a_call_logs_one_warning_for_any_number_of_damaged_recordings() {
    let levels = Levels::default();
    // With one subscriber, the thread of another test can decide that no thread wants the lines, because it has none.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = tracing_subscriber::registry().with(levels.clone()).set_default();
    let shared = shared(Damaged { count: 250 });
    for (page_size, taken) in [(1, 1), (100, 100), (1_000, 250)] {
        levels.0.lock().unwrap().clear();
        let request = pb::ListPathsRequest { page_size, ..Default::default() };
        list_paths(Arc::clone(&shared), &Scope::unauthenticated(), request).await.unwrap();
        let levels = levels.0.lock().unwrap();
        let count = |of: Level| levels.iter().filter(|level| **level == of).count();
        assert_eq!((count(Level::WARN), count(Level::DEBUG)), (1, taken));
    }
}

#[tokio::test]
async fn an_expired_recording_is_not_listed() {
    let memory = MemoryStore::default();
    let name = |id: &str| RecordingName::from_id(id).unwrap();
    for (id, is_expired) in [("a", true), ("b", false), ("c", true)] {
        store(&memory, &name(id), rich(), is_expired).await;
    }
    let shared = shared(memory);
    for page_size in [1, 2, 50] {
        let pages = pages(&shared, page_size).await;
        let names = pages.iter().flat_map(|page| &page.paths).map(|path| path.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["paths/b"]);
    }
}

/// Returns the accumulator of a phone with a trip and a stop on each of 400 days.
fn phone() -> PathAccumulator {
    const DAYS: u32 = WindowOptions::RECORDING_WINDOWS_MAX;
    let windows = WindowOptions {
        unit: WindowUnit::Day,
        zone: Zone::UTC,
        max_windows: DAYS,
        keep_latest: true,
    };
    let max_trips = EstimateOptions::RECORDING_TRIPS_MAX;
    let estimate = EstimateOptions { max_trips, ..EstimateOptions::default() };
    let options = Options::builder(Metric::Geodesic).windows(windows).estimate(estimate);
    let mut accumulator = PathAccumulator::new(options.build().unwrap());
    for day in 0..DAYS {
        for step in 0..20 {
            // A point each minute: ten on the way, and ten at its end.
            let lon = 13.0 + f64::from(day % 2) + 0.01 * f64::from(step.min(10));
            let seconds = i64::from(day) * 86_400 + i64::from(step) * 60;
            let fix = Fix::new(Point::geographic(46.0, lon).unwrap());
            accumulator.extend(&[fix.at_unix_ns(seconds * 1_000_000_000).unwrap()]).unwrap();
        }
    }
    accumulator
}

#[tokio::test]
async fn the_basic_view_has_no_lists_and_more_recordings_in_a_page() {
    let memory = MemoryStore::default();
    let phone = phone();
    for index in 0..40 {
        let name = RecordingName::from_id(&format!("phone-{index:02}")).unwrap();
        store(&memory, &name, phone.clone(), false).await;
    }
    let shared = shared(memory);
    let full = pages_of(&shared, 50, pb::PathView::Full).await;
    assert_eq!(pages(&shared, 50).await, full);
    assert!(full.len() >= 4, "{} pages", full.len());
    let basic = pages_of(&shared, 50, pb::PathView::Basic).await;
    let [basic] = &basic[..] else { panic!("{} pages", basic.len()) };
    let full: Vec<_> = full.into_iter().flat_map(|page| page.paths).collect();
    assert_eq!((full.len(), basic.paths.len()), (40, 40));
    for (mut full, basic) in full.into_iter().zip(&basic.paths) {
        let summary = full.summary.as_mut().unwrap();
        assert_eq!(std::mem::take(&mut summary.windows).len(), 400);
        let trips = summary.trips.as_mut().unwrap();
        assert!(!std::mem::take(&mut trips.stops).is_empty() && trips.stop_count > 100);
        assert!(!std::mem::take(&mut trips.trips).is_empty() && trips.trip_count > 100);
        assert_eq!(&full, basic);
    }
    let request = pb::ListPathsRequest { view: 9, ..Default::default() };
    let error = list_paths(Arc::clone(&shared), &Scope::unauthenticated(), request).await;
    assert!(format!("{error:?}").contains("there is no view 9"), "{error:?}");
}
