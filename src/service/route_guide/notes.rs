//! The notes of RouteChat, in memory. Each group of callers has a board of its own, and each board has the same limits.
//!
//! A reader of notes holds a position, not the notes: a client that reads slowly keeps no dropped note in memory.

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
/// Maximum number of boards. Another one replaces the board to which no note was added for the longest time.
const BOARDS_MAX: usize = 32;

/// The callers who read each other's notes: those of a namespace. `None` is the default namespace.
pub(super) type Group = Option<Namespace>;

/// The notes of a server.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Boards>);

#[derive(Debug, Default)]
struct Boards {
    by_group: HashMap<Group, Board>,
    /// Number of notes that were ever added. It numbers them.
    added: u64,
}

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
        let dropped;
        let number;
        {
            let mut boards = self.lock();
            number = boards.added;
            boards.added += 1;
            dropped = boards.make_space(group);
            let board = boards.by_group.entry(group.clone()).or_default();
            board.add(
                place,
                Note {
                    number,
                    location: note.location.unwrap_or_default(),
                    text: note.message.into(),
                },
            );
        }
        // Other callers do not wait while the memory of a whole board is freed.
        drop(dropped);
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
    /// Removes and returns a board if another one needs its space.
    fn make_space(&mut self, group: &Group) -> Option<Board> {
        if self.by_group.len() < BOARDS_MAX || self.by_group.contains_key(group) {
            return None;
        }
        let oldest = self.by_group.iter().min_by_key(|(_, board)| board.newest);
        let oldest = oldest.map(|(group, _)| group.clone())?;
        self.by_group.remove(&oldest)
    }
}

impl Board {
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

    #[test]
    fn another_board_replaces_the_one_without_new_notes() {
        let notes = Notes::default();
        let group = |number: usize| -> Group { Some(number.to_string().parse().unwrap()) };
        for number in 0..BOARDS_MAX {
            add(&notes, &group(number), 0, "old");
        }
        assert_eq!(add(&notes, &group(0), 0, "new"), ["old"]);
        assert!(add(&notes, &group(BOARDS_MAX), 0, "another").is_empty());
        assert_eq!(notes.lock().by_group.len(), BOARDS_MAX);
        assert_eq!(add(&notes, &group(0), 0, "newer"), ["old", "new"]);
        assert!(add(&notes, &group(1), 0, "again").is_empty(), "it was the oldest board");
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
