//! Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision", arXiv 1512.00567.

use crate::net::{Draft, Net};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{AveragePool2d, BatchNormalization, Conv2d, MaxPool2d, Padding, Value};

/// Inception V3 (arXiv 1512.00567).
pub const fn inception_v3() -> Net {
    Net::new("inception_v3", 299, (75, "at least 75"), Preprocessing::Tf, body)
}

/// Filters and kernel of a convolution that keeps the map.
type Convolution = (usize, [usize; 2]);

const HALVING: Conv2d = Conv2d::valid().stride(2);
const HALVING_POOL: MaxPool2d = MaxPool2d::new(3).stride(2);

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let x = convolution(draft, x, (32, [3, 3]), HALVING);
    let x = convolution(draft, x, (32, [3, 3]), Conv2d::valid());
    let x = convolution(draft, x, (64, [3, 3]), Conv2d::same()).max_pool2d_with(HALVING_POOL);
    let x = convolution(draft, x, (80, [1, 1]), Conv2d::valid());
    let x = convolution(draft, x, (192, [3, 3]), Conv2d::valid());
    let mut x = x.max_pool2d_with(HALVING_POOL);
    for (mixed, pooled) in [(0, 32), (1, 64), (2, 64)] {
        let one = tower(draft, x, &[(64, [1, 1])]);
        let five = tower(draft, x, &[(48, [1, 1]), (64, [5, 5])]);
        let three = tower(draft, x, &[(64, [1, 1]), (96, [3, 3]), (96, [3, 3])]);
        let pool = pooled_tower(draft, x, pooled);
        x = draft.net.concatenate(&[one, five, three, pool]).named(&format!("mixed{mixed}"));
    }
    let three = convolution(draft, x, (384, [3, 3]), HALVING);
    let twice = tower(draft, x, &[(64, [1, 1]), (96, [3, 3])]);
    let twice = convolution(draft, twice, (96, [3, 3]), HALVING);
    x = draft.net.concatenate(&[three, twice, x.max_pool2d_with(HALVING_POOL)]).named("mixed3");
    for (mixed, n) in [(4, 128), (5, 160), (6, 160), (7, 192)] {
        let one = tower(draft, x, &[(192, [1, 1])]);
        let seven = tower(draft, x, &[(n, [1, 1]), (n, [1, 7]), (192, [7, 1])]);
        let twice = [(n, [1, 1]), (n, [7, 1]), (n, [1, 7]), (n, [7, 1]), (192, [1, 7])];
        let twice = tower(draft, x, &twice);
        let pool = pooled_tower(draft, x, 192);
        x = draft.net.concatenate(&[one, seven, twice, pool]).named(&format!("mixed{mixed}"));
    }
    let three = tower(draft, x, &[(192, [1, 1])]);
    let three = convolution(draft, three, (320, [3, 3]), HALVING);
    let seven = tower(draft, x, &[(192, [1, 1]), (192, [1, 7]), (192, [7, 1])]);
    let seven = convolution(draft, seven, (192, [3, 3]), HALVING);
    x = draft.net.concatenate(&[three, seven, x.max_pool2d_with(HALVING_POOL)]).named("mixed8");
    for i in 0..2 {
        let one = tower(draft, x, &[(320, [1, 1])]);
        let three = tower(draft, x, &[(384, [1, 1])]);
        let three = cross(draft, three).named(&format!("mixed9_{i}"));
        let twice = tower(draft, x, &[(448, [1, 1]), (384, [3, 3])]);
        let twice = cross(draft, twice);
        let pool = pooled_tower(draft, x, 192);
        x = draft.net.concatenate(&[one, three, twice, pool]).named(&format!("mixed{}", 9 + i));
    }
    draft.end(x, ["avg_pool", "", ""])
}

/// Without a bias, normalised without a scale, and activated.
fn convolution<'g>(
    draft: &mut Draft<'g>,
    x: Value<'g>,
    (filters, kernel): Convolution,
    how: Conv2d,
) -> Value<'g> {
    let x = x.conv2d_with(filters, kernel, how.no_bias()).layer(BatchNormalization::new().no_scale());
    draft.relu(x)
}

fn tower<'g>(draft: &mut Draft<'g>, x: Value<'g>, convolutions: &[Convolution]) -> Value<'g> {
    convolutions.iter().fold(x, |x, &of| convolution(draft, x, of, Conv2d::same()))
}

fn pooled_tower<'g>(draft: &mut Draft<'g>, x: Value<'g>, filters: usize) -> Value<'g> {
    let pool = AveragePool2d::new(3).stride(1).padding(Padding::Same);
    tower(draft, x.average_pool2d_with(pool), &[(filters, [1, 1])])
}

/// A row and a column beside each other.
fn cross<'g>(draft: &mut Draft<'g>, x: Value<'g>) -> Value<'g> {
    let row = tower(draft, x, &[(384, [1, 3])]);
    let column = tower(draft, x, &[(384, [3, 1])]);
    draft.net.concatenate(&[row, column])
}
