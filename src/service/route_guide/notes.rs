//! The notes of RouteChat, in memory. Each group of callers has a board of its own, and each board has the same limits.
//! All boards together have one limit: above it the largest board loses its oldest notes. So a group keeps its fair share,
//! whatever the number of others and their notes are.
//!
//! A reader of notes holds a position, not the notes: a client that reads slowly keeps no dropped note in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::place::Place;
use crate::proto::routeguide as pb;
use crate::recording::Namespace;

/// Maximum length of the text of a note.
pub(super) const TEXT_BYTES_MAX: usize = 1024;
/// Maximum number of notes at a place.
const PLACE_NOTES_MAX: usize = 50;
/// Maximum number of places of a board.
const PLACES_MAX: usize = 1000;
/// Maximum number of bytes of a board. With the overhead, a board has at most 4096 notes.
const BOARD_BYTES_MAX: usize = 512 << 10;
/// Bytes of a note in addition to its text, for the collections that hold it.
const NOTE_OVERHEAD_BYTES: usize = 128;
/// Bytes of a board in addition to its notes, for its collections and the name of its group.
const BOARD_OVERHEAD_BYTES: usize = 1024;
/// Maximum number of bytes of all boards: 32 full ones.
const BYTES_MAX: usize = 16 << 20;

/// The callers who read each other's notes: those of a namespace. `None` is the default namespace.
pub(super) type Group = Option<Namespace>;

/// The notes of a server.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Boards>);

#[derive(Debug, Default)]
struct Boards {
    /// No board is empty.
    by_group: HashMap<Group, Board>,
    /// The groups of all boards in the order of [`Board::size`].
    by_size: BTreeMap<Size, Group>,
    /// Bytes of all boards, with the overhead.
    bytes: usize,
    /// Number of notes that were ever added. It numbers them.
    added: u64,
}

/// The bytes of a board. Of two equal ones, that with the newer note is smaller.
type Size = (usize, Reverse<u64>);

/// The notes of one group.
#[derive(Debug, Default)]
struct Board {
    /// The notes at each place, oldest first. No queue is empty.
    places: HashMap<Place, VecDeque<Note>>,
    /// The place of each note, by number.
    order: BTreeMap<u64, Place>,
    bytes: usize,
    /// The number of the note that was added last.
    newest: u64,
}

#[derive(Debug)]
struct Note {
    number: u64,
    /// The location as it was sent, which may differ from the place by 360 degrees.
    location: pb::Point,
    text: Box<str>,
}

/// The position of a reader in the notes at a place.
#[derive(Debug)]
pub(super) struct Cursor {
    place: Place,
    /// The numbers of the notes that may be read.
    rest: std::ops::Range<u64>,
}

impl Notes {
    /// Adds a note. Returns a cursor over the earlier notes at the same place.
    pub(super) fn add(&self, group: &Group, place: Place, note: pb::RouteNote) -> Cursor {
        let mut boards = self.lock();
        let number = boards.added;
        boards.added += 1;
        let location = note.location.unwrap_or_default();
        let note = Note { number, location, text: note.message.into() };
        boards.change(group.clone(), |board| board.add(place, note));
        boards.keep_limit();
        Cursor { place, rest: 0..number }
    }

    /// Returns the next note of a cursor.
    pub(super) fn next(&self, group: &Group, cursor: &mut Cursor) -> Option<pb::RouteNote> {
        let boards = self.lock();
        let notes = boards.by_group.get(group)?.places.get(&cursor.place)?;
        let index = notes.partition_point(|note| note.number < cursor.rest.start);
        let note = notes.get(index).filter(|note| cursor.rest.contains(&note.number))?;
        cursor.rest.start = note.number + 1;
        Some(pb::RouteNote { location: Some(note.location), message: note.text.to_string() })
    }

    fn lock(&self) -> MutexGuard<'_, Boards> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Boards {
    /// Changes the board of a group, which is created if it does not exist and removed if it is empty afterwards.
    fn change(&mut self, group: Group, change: impl FnOnce(&mut Board)) {
        let board = self.by_group.entry(group.clone()).or_default();
        // A new board has no bytes, and no other board has this size.
        let before = board.size();
        change(board);
        let after = board.size();
        if self.by_size.remove(&before).is_some() {
            self.bytes -= before.0 + BOARD_OVERHEAD_BYTES;
        }
        if after.0 > 0 {
            self.bytes += after.0 + BOARD_OVERHEAD_BYTES;
            self.by_size.insert(after, group);
        } else {
            self.by_group.remove(&group);
        }
    }

    /// Drops the oldest notes of the largest boards until the limit of all boards is kept.
    fn keep_limit(&mut self) {
        while self.bytes > BYTES_MAX {
            let Some((_, largest)) = self.by_size.last_key_value() else { return };
            self.change(largest.clone(), Board::drop_oldest);
        }
    }
}

impl Board {
    fn size(&self) -> Size {
        (self.bytes, Reverse(self.newest))
    }

    fn add(&mut self, place: Place, note: Note) {
        self.newest = note.number;
        self.bytes += note.bytes();
        self.order.insert(note.number, place);
        let notes = self.places.entry(place).or_default();
        notes.push_back(note);
        if notes.len() > PLACE_NOTES_MAX
            && let Some(oldest) = notes.pop_front()
        {
            self.order.remove(&oldest.number);
            self.bytes -= oldest.bytes();
        }
        while self.bytes > BOARD_BYTES_MAX || self.places.len() > PLACES_MAX {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((_, place)) = self.order.pop_first() else { return };
        let Some(notes) = self.places.get_mut(&place) else { return };
        // The oldest note of all is the oldest of its place.
        if let Some(oldest) = notes.pop_front() {
            self.bytes -= oldest.bytes();
        }
        if notes.is_empty() {
            self.places.remove(&place);
        }
    }
}

impl Note {
    fn bytes(&self) -> usize {
        NOTE_OVERHEAD_BYTES + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: i32) -> Place {
        Place::new(latitude, 0).unwrap()
    }

    /// Adds a note, and returns the texts of the earlier ones.
    fn add(notes: &Notes, group: &Group, latitude: i32, text: &str) -> Vec<String> {
        let location = Some(pb::Point { latitude, longitude: 0 });
        let note = pb::RouteNote { location, message: text.to_owned() };
        let mut cursor = notes.add(group, place(latitude), note);
        std::iter::from_fn(|| notes.next(group, &mut cursor)).map(|note| note.message).collect()
    }

    #[test]
    fn earlier_notes_of_the_place_are_returned_oldest_first() {
        let notes = Notes::default();
        assert!(add(&notes, &None, 0, "a").is_empty());
        assert!(add(&notes, &None, 1, "b").is_empty());
        assert_eq!(add(&notes, &None, 0, "c"), ["a"]);
        assert_eq!(add(&notes, &None, 0, "d"), ["a", "c"]);
        assert_eq!(add(&notes, &None, 1, "e"), ["b"]);
    }

    #[test]
    fn a_group_has_notes_of_its_own() {
        let notes = Notes::default();
        let groups = [None, Some("a".parse().unwrap()), Some("b".parse().unwrap())];
        for group in &groups {
            assert!(add(&notes, group, 0, "x").is_empty(), "{group:?}");
        }
        assert_eq!(add(&notes, &groups[1], 0, "y"), ["x"]);
    }

    #[test]
    fn a_note_that_is_dropped_before_it_is_read_is_left_out() {
        let notes = Notes::default();
        let new = || pb::RouteNote::default();
        let mut first = notes.add(&None, place(0), new());
        assert_eq!(notes.next(&None, &mut first), None);
        let mut cursor = notes.add(&None, place(0), new());
        for _ in 0..PLACE_NOTES_MAX {
            add(&notes, &None, 0, "later");
        }
        assert_eq!(notes.next(&None, &mut cursor), None, "later notes do not take its position");
    }

    fn group(number: usize) -> Group {
        Some(number.to_string().parse().unwrap())
    }

    /// Checks the bounds, and that the sums and the order by size are those of the boards.
    fn check(notes: &Notes) {
        let boards = notes.lock();
        let sizes = boards.by_group.iter().map(|(group, board)| (board.size(), group.clone()));
        assert_eq!(sizes.collect::<BTreeMap<_, _>>(), boards.by_size);
        let bytes = boards.by_size.keys().map(|(bytes, _)| bytes + BOARD_OVERHEAD_BYTES);
        assert_eq!(bytes.sum::<usize>(), boards.bytes);
        assert!(boards.bytes <= BYTES_MAX, "{}", boards.bytes);
        assert!(boards.by_group.values().all(|board| board.bytes > 0));
    }

    #[test]
    fn large_groups_drop_no_note_of_a_small_one() {
        const GROUPS: usize = 40;
        let notes = Notes::default();
        add(&notes, &None, 0, "quiet");
        let text = "x".repeat(TEXT_BYTES_MAX);
        for number in 0..600 {
            for large in 0..GROUPS {
                add(&notes, &group(large), number / 20, &text);
            }
        }
        check(&notes);
        let note = TEXT_BYTES_MAX + NOTE_OVERHEAD_BYTES;
        {
            let boards = notes.lock();
            let full = BOARD_BYTES_MAX - note;
            assert!(boards.bytes > BYTES_MAX - 2 * note, "the limit of all boards is reached");
            let large = boards.by_group.iter().filter(|(group, _)| group.is_some());
            let sizes: Vec<_> = large.map(|(_, board)| board.bytes).collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!((sizes.len(), most - least <= 2 * note, *most < full) == (GROUPS, true, true));
        }
        assert_eq!(add(&notes, &None, 0, "later"), ["quiet"]);
    }

    #[test]
    fn the_number_of_boards_is_bounded() {
        let notes = Notes::default();
        for number in 0..40_000 {
            add(&notes, &group(number), 0, "x");
        }
        check(&notes);
        let count = notes.lock().by_group.len();
        assert!((10_000..20_000).contains(&count), "{count}");
        assert_eq!(add(&notes, &group(39_999), 0, "y"), ["x"]);
    }

    /// The limits, applied to a plain list.
    #[derive(Default)]
    struct Model(Vec<(i32, String)>);

    impl Model {
        fn add(&mut self, latitude: i32, text: &str) -> Vec<String> {
            let at = |(place, _): &&(i32, String)| *place == latitude;
            let earlier: Vec<_> = self.0.iter().filter(at).map(|(_, text)| text.clone()).collect();
            self.0.push((latitude, text.to_owned()));
            if earlier.len() == PLACE_NOTES_MAX {
                let oldest = self.0.iter().position(|(place, _)| *place == latitude).unwrap();
                self.0.remove(oldest);
            }
            while self.exceeds_a_limit() {
                self.0.remove(0);
            }
            let is_kept = |text: &String| self.0.iter().any(|(_, kept)| kept == text);
            earlier.into_iter().filter(is_kept).collect()
        }

        fn exceeds_a_limit(&self) -> bool {
            let bytes: usize =
                self.0.iter().map(|(_, text)| text.len() + NOTE_OVERHEAD_BYTES).sum();
            let places: std::collections::HashSet<_> =
                self.0.iter().map(|(place, _)| place).collect();
            bytes > BOARD_BYTES_MAX || places.len() > PLACES_MAX
        }
    }

    #[test]
    fn a_board_keeps_its_limits_and_drops_the_oldest_notes() {
        // Few places reach the limit of a place, many short notes that of places, and long notes that of bytes.
        for (places, bytes_max) in
            [3, 40, 3000].into_iter().flat_map(|places| [(places, 20), (places, TEXT_BYTES_MAX)])
        {
            let (notes, mut model) = (Notes::default(), Model::default());
            let mut rng = fastrand::Rng::with_seed(7);
            for number in 0..2500 {
                let latitude = rng.i32(0..places);
                let text = format!("{number}{}", "x".repeat(rng.usize(0..bytes_max)));
                assert_eq!(add(&notes, &None, latitude, &text), model.add(latitude, &text));
            }
            let boards = notes.lock();
            let board = &boards.by_group[&None];
            let kept: usize = board.places.values().map(VecDeque::len).sum();
            let bytes: usize = board.places.values().flatten().map(Note::bytes).sum();
            assert!(kept < 2500, "{places} places and {bytes_max} bytes reach no limit");
            assert_eq!((kept, kept, bytes), (model.0.len(), board.order.len(), board.bytes));
        }
    }
}
