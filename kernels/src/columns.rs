use crate::Error;
use crate::error::check;
use core::marker::PhantomData;

/// Some columns of a matrix, alone with whoever has them: threads can write to different columns of the same rows.
///
/// ```
/// use bantam_kernels::Columns;
/// let mut matrix = [0.0; 6];
/// let (left, right) = Columns::new(&mut matrix, 2, 3)?.split_at(1);
/// assert_eq!([left.count(), right.count()], [1, 2]);
/// # Ok::<(), bantam_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Columns<'a> {
    start: *mut f32,
    rows: usize,
    pitch: usize,
    count: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is `&mut` of elements that no other has.
unsafe impl Send for Columns<'_> {}

impl<'a> Columns<'a> {
    /// All columns of a matrix `[rows, columns]`.
    ///
    /// # Errors
    /// The length differs from the shape's.
    pub fn new(matrix: &'a mut [f32], rows: usize, columns: usize) -> Result<Columns<'a>, Error> {
        Columns::of_wider(matrix, rows, columns, columns)
    }

    /// The first columns of a matrix whose rows lie `pitch` apart; what lies behind those of the last row is left out.
    ///
    /// # Errors
    /// The length differs from the shape's, or there are fewer columns.
    pub fn of_wider(
        matrix: &'a mut [f32],
        rows: usize,
        pitch: usize,
        columns: usize,
    ) -> Result<Columns<'a>, Error> {
        if columns > pitch {
            return Err(Error::OutOfRange { what: "columns", max: pitch, got: columns });
        }
        check("matrix", matrix, rows.checked_sub(1).map_or(0, |rows| rows.saturating_mul(pitch) + columns))?;
        Ok(Columns { start: matrix.as_mut_ptr(), rows, pitch, count: columns, matrix: PhantomData })
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Those before a column, and the others.
    ///
    /// # Panics
    /// There are fewer.
    pub fn split_at(self, column: usize) -> (Columns<'a>, Columns<'a>) {
        assert!(column <= self.count, "a column of {} at the most, got {column}", self.count);
        // No element is in both: of each row one has what lies before, the other what follows. Of no columns none is read.
        let right = Columns { start: self.start.wrapping_add(column), count: self.count - column, ..self };
        (Columns { count: column, ..self }, right)
    }

    /// A single row of them.
    ///
    /// # Errors
    /// There are several rows, or none.
    pub(crate) fn into_row(self) -> Result<&'a mut [f32], Error> {
        if self.rows != 1 {
            return Err(Error::Length { what: "rows", expected: 1, got: self.rows });
        }
        // SAFETY: of one row the columns follow each other, and nobody else has them.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.start, self.count) })
    }

    /// Where the first row begins: `count` elements can be written there, and in as many rows as are told, `pitch` apart.
    ///
    /// # Errors
    /// Rows, pitch or columns are others.
    pub(crate) fn checked(&self, rows: usize, pitch: usize, count: usize) -> Result<*mut f32, Error> {
        for (what, expected, got) in
            [("rows", rows, self.rows), ("pitch", pitch, self.pitch), ("columns", count, self.count)]
        {
            if expected != got {
                return Err(Error::Length { what, expected, got });
            }
        }
        Ok(self.start)
    }
}
