use std::fmt;

use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    sample::{Index, select},
    strategy::BoxedStrategy,
};

/// The most edits of one input.
const EDITS_MAX: usize = 6;

/// The longest run of repeated bytes that one edit adds.
const REPEAT_MAX: usize = 2_000;

/// Mutations of texts.
pub(crate) struct Mutation;

/// A mutated text, which prints as a byte string.
#[derive(Clone)]
pub(crate) struct Mutated(Vec<u8>);

#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, Vec<u8>),
    Replace(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, u8, usize),
    Cut(Index),
    FlipBit(Index, u8),
    /// The rest comes from another text.
    Splice(Index, Index, Index),
}

impl Mutation {
    /// Texts of `corpus` with a few edits, which insert words of `dictionary` among others.
    pub(crate) fn of(
        corpus: Vec<Vec<u8>>,
        dictionary: &'static [&'static str],
    ) -> BoxedStrategy<Mutated> {
        let texts = corpus.clone();
        let edits = vec(edit(dictionary), 0..=EDITS_MAX);
        let mutated = (any::<Index>(), edits).prop_map(move |(text, edits)| {
            let mut text = text.get(&texts).clone();
            for edit in edits {
                edit.apply(&mut text, &corpus);
            }
            Mutated(text)
        });
        mutated.boxed()
    }
}

fn edit(dictionary: &'static [&'static str]) -> BoxedStrategy<Edit> {
    let word = select(dictionary).prop_map(|word| word.as_bytes().to_vec());
    let bytes = prop_oneof![3 => word, 1 => vec(any::<u8>(), 1..8)];
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), bytes.clone()).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        4 => (at(), bytes).prop_map(|(at, bytes)| Edit::Replace(at, bytes)),
        2 => (at(), any::<u8>()).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (at(), 1..40_u8, 1..REPEAT_MAX).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        1 => at().prop_map(Edit::Cut),
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Edit::FlipBit(at, bit)),
        2 => (at(), at(), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
    .boxed()
}

impl Edit {
    fn apply(self, text: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        // A place from the beginning to the end, both included.
        let place = |at: Index, text: &[u8]| at.index(text.len() + 1);
        match self {
            Self::Insert(at, bytes) => {
                let at = place(at, text);
                text.splice(at..at, bytes);
            }
            Self::Replace(at, bytes) => {
                let at = place(at, text);
                let end = text.len().min(at + bytes.len());
                text.splice(at..end, bytes);
            }
            Self::Remove(at, length) => {
                let at = place(at, text);
                let end = text.len().min(at + usize::from(length));
                text.drain(at..end);
            }
            Self::Repeat(at, length, times) => {
                let at = place(at, text);
                let end = text.len().min(at + usize::from(length));
                let times = times / (end - at).max(1);
                let repeated = text[at..end].repeat(times);
                text.splice(at..at, repeated);
            }
            Self::Cut(at) => text.truncate(place(at, text)),
            Self::FlipBit(at, bit) => {
                let at = place(at, text);
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Splice(at, other, from) => {
                let other = other.get(corpus);
                text.truncate(place(at, text));
                text.extend_from_slice(&other[place(from, other)..]);
            }
        }
    }
}

impl std::ops::Deref for Mutated {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Mutated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}
