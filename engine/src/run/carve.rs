use core::ops::Range;

/// What is left of an arena from which pieces are cut out: it can be read.
pub(super) struct Rest<'a, const N: usize> {
    /// What lies before each piece, and where it begins.
    before: [(usize, &'a [f32]); N],
    after: (usize, &'a [f32]),
}

/// Cuts out ranges that a plan has laid apart, to be written.
pub(super) fn carve<const N: usize>(
    arena: &mut [f32],
    ranges: [Range<usize>; N],
) -> ([&mut [f32]; N], Rest<'_, N>) {
    let mut pieces = [(); N].map(|()| &mut [][..]);
    let mut before = [(0, &[][..]); N];
    let after = cut(arena, &ranges, &mut pieces, &mut before);
    (pieces, Rest { before, after })
}

/// Gives what is left behind the last piece, and where it begins.
#[inline(never)] // One copy, however many pieces.
fn cut<'a>(
    arena: &'a mut [f32],
    ranges: &[Range<usize>],
    pieces: &mut [&'a mut [f32]],
    before: &mut [(usize, &'a [f32])],
) -> (usize, &'a [f32]) {
    let (mut at, mut rest) = (0, arena);
    for gap in before {
        // The next piece.
        let (mut next, mut start) = (usize::MAX, usize::MAX);
        for (i, range) in ranges.iter().enumerate() {
            if !range.is_empty() && (at..start).contains(&range.start) {
                (next, start) = (i, range.start);
            }
        }
        let Some(&Range { end, .. }) = ranges.get(next) else { break };
        let (front, tail) = core::mem::take(&mut rest).split_at_mut(start - at);
        let (piece, tail) = tail.split_at_mut(end - start);
        *gap = (at, &*front);
        (pieces[next], rest) = (piece, tail);
        at = end;
    }
    (at, rest)
}

impl<'a, const N: usize> Rest<'a, N> {
    /// So many elements of the arena; none if they are in a piece.
    pub fn read(&self, start: usize, len: usize) -> &'a [f32] {
        let mut parts = self.before.iter().chain([&self.after]);
        let found = parts.find_map(|&(at, part)| part.get(start.checked_sub(at)?..)?.get(..len));
        found.unwrap_or_default()
    }
}
