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
    let (mut at, mut rest) = (0, arena);
    for gap in &mut before {
        // The next piece.
        let (mut next, mut start) = (N, usize::MAX);
        for (i, range) in ranges.iter().enumerate() {
            if !range.is_empty() && (at..start).contains(&range.start) {
                (next, start) = (i, range.start);
            }
        }
        if next == N {
            break;
        }
        let end = ranges[next].end;
        let (front, tail) = core::mem::take(&mut rest).split_at_mut(start - at);
        let (piece, tail) = tail.split_at_mut(end - start);
        *gap = (at, &*front);
        (pieces[next], rest) = (piece, tail);
        at = end;
    }
    (pieces, Rest { before, after: (at, rest) })
}

impl<'a, const N: usize> Rest<'a, N> {
    /// So many elements of the arena; none if they are in a piece.
    pub fn read(&self, start: usize, len: usize) -> &'a [f32] {
        let mut parts = self.before.iter().chain([&self.after]);
        let found = parts.find_map(|&(at, part)| part.get(start.checked_sub(at)?..)?.get(..len));
        found.unwrap_or_default()
    }
}
