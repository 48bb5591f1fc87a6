use crate::support::{Numbers, shapes, written};
use bantam_kernels::matmul::Matrix;
use bantam_kernels::{Error, Isa, matmul as kernels, reference};

/// The library beneath chooses its instructions itself.
pub fn matmul(_: Isa) {
    let listed = [(0, 3, 2), (3, 0, 2), (1, 1, 1), (64, 576, 64), (65, 131, 10), (7, 8, 9)];
    shapes(listed, (0..40usize, 0..40usize, 0..40usize), |(m, k, n)| {
        for numbers in Numbers::ALL {
            let (a, b) = (numbers.take(1, m * k), numbers.take(2, k * n));
            for [a_turned, b_turned] in [[false, false], [false, true], [true, false], [true, true]] {
                let left = matrix(&a, m, k, a_turned);
                let right = matrix(&b, k, n, b_turned);
                assert_eq!((left.shape(), right.shape()), ([m, k], [k, n]));
                let got = written(m * n, |c| kernels::matmul(left, right, c).unwrap());
                let at = |data: &[f32], rows, columns, turned, r, c| {
                    data[if turned { c * rows + r } else { r * columns + c }]
                };
                let want = reference::matmul::matmul(
                    [m, k, n],
                    |r, c| at(&a, m, k, a_turned, r, c),
                    |r, c| at(&b, k, n, b_turned, r, c),
                );
                numbers.compare(&format!("{m}x{k}x{n} {a_turned} {b_turned}"), &got, want);
            }
        }
    });
}

fn matrix(data: &[f32], rows: usize, columns: usize, turned: bool) -> Matrix<'_> {
    if turned {
        Matrix::new(data, columns, rows).unwrap().transposed()
    } else {
        Matrix::new(data, rows, columns).unwrap()
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let length = |what, expected, got| Some(Error::Length { what, expected, got });
    let matrix = |rows, columns| Matrix::new(&[1.0; 6], rows, columns);
    assert_eq!(matrix(2, 4).err(), length("matrix", 8, 6));
    assert_eq!(matrix(usize::MAX, 3).err(), Some(Error::TooLarge { what: "matrix" }));
    let a = matrix(2, 3).unwrap();
    assert_eq!(kernels::matmul(a, a, &mut [0.0; 4]).err(), length("rows of the second matrix", 3, 2));
    assert_eq!(kernels::matmul(a, a.transposed(), &mut [0.0; 5]).err(), length("product", 4, 5));
}
