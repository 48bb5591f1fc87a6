//! Zoph, Vasudevan, Shlens and Le, "Learning Transferable Architectures for Scalable Image Recognition", arXiv 1707.07012.

use crate::net::{Draft, Map, Net, halved, padding};
use crate::preprocessing::Preprocessing;
use alloc::format;
use bantam::{
    AveragePool2d, BatchNormalization, Conv2d, Initializer, MaxPool2d, Padding, SeparableConv2d, Value,
};

/// NASNet-A (4 @ 1056) (arXiv 1707.07012).
pub const fn nasnet_mobile() -> Net {
    const SIZES: Sizes = Sizes { stem: 32, filters: 44, cells: 4, skips_reduction: false };
    Net::new("nasnet_mobile", 224, (32, "at least 32"), Preprocessing::Tf, |draft, x| body(draft, x, SIZES))
}

/// NASNet-A (6 @ 4032) (arXiv 1707.07012).
pub const fn nasnet_large() -> Net {
    const SIZES: Sizes = Sizes { stem: 96, filters: 168, cells: 6, skips_reduction: true };
    Net::new("nasnet_large", 331, (32, "at least 32"), Preprocessing::Tf, |draft, x| body(draft, x, SIZES))
}

struct Sizes {
    /// Filters of the first convolution.
    stem: usize,
    /// Filters of a cell's convolutions, before they are first doubled.
    filters: usize,
    /// Cells between two reductions.
    cells: usize,
    /// Whether the cell behind a reduction also reads what the cell before the reduction read.
    skips_reduction: bool,
}

fn body<'g>(draft: &mut Draft<'g>, x: Value<'g>, sizes: Sizes) -> Value<'g> {
    let Sizes { stem, filters, cells, skips_reduction } = sizes;
    let [height, width, _] = draft.asked.input;
    let x = convolution(x, stem, [3, 3], Conv2d::valid().stride(2)).named("stem_conv1");
    let mut x =
        Map { x: normalized(x, "stem_bn1"), channels: stem, size: [height, width].map(|n| (n - 1) / 2) };
    // What the cell before the last gave.
    let mut before = None;
    for (filters, id) in [(filters / 4, "stem_1"), (filters / 2, "stem_2")] {
        (x, before) = (reduction(draft, x, before, filters, id), Some(x));
    }
    for (stage, filters) in [filters, 2 * filters, 4 * filters].into_iter().enumerate() {
        if stage > 0 {
            let reduced = reduction(draft, x, before, filters, &format!("reduce_{}", stage * cells));
            before = if skips_reduction { before } else { Some(x) };
            x = reduced;
        }
        for cell in 0..cells {
            let id = stage * cells + cell + usize::from(stage > 0);
            (x, before) = (normal(draft, x, before, filters, &format!("{id}")), Some(x));
        }
    }
    let x = draft.relu(x.x);
    draft.end(x, [""; 3])
}

/// A cell that keeps the map: five sums beside what the cell before the last gave.
fn normal<'g>(
    draft: &mut Draft<'g>,
    x: Map<'g>,
    before: Option<Map<'g>>,
    filters: usize,
    id: &str,
) -> Map<'g> {
    let net = draft.net;
    let p = adjusted(draft, before, x, filters, id);
    let h = projected(draft, x, filters, "normal", id);
    let named = |what: &str| format!("normal_{what}_{id}");
    let mean = |x: Value<'g>, name: &str| x.average_pool2d_with(MEAN).named(&named(name));
    let a = separable(draft, h, filters, 5, 1, &named("left1"));
    let b = separable(draft, p, filters, 3, 1, &named("right1"));
    let first = net.add(&[a.x, b.x]).named(&named("add_1"));
    let a = separable(draft, p, filters, 5, 1, &named("left2"));
    let b = separable(draft, p, filters, 3, 1, &named("right2"));
    let second = net.add(&[a.x, b.x]).named(&named("add_2"));
    let third = net.add(&[mean(h.x, "left3"), p.x]).named(&named("add_3"));
    let fourth = net.add(&[mean(p.x, "left4"), mean(p.x, "right4")]).named(&named("add_4"));
    let a = separable(draft, h, filters, 3, 1, &named("left5"));
    let fifth = net.add(&[a.x, h.x]).named(&named("add_5"));
    let all = net.concatenate(&[p.x, first, second, third, fourth, fifth]).named(&named("concat"));
    Map { x: all, channels: 6 * filters, size: x.size }
}

/// A cell that halves the map.
fn reduction<'g>(
    draft: &mut Draft<'g>,
    x: Map<'g>,
    before: Option<Map<'g>>,
    filters: usize,
    id: &str,
) -> Map<'g> {
    let net = draft.net;
    let p = adjusted(draft, before, x, filters, id);
    let h = projected(draft, x, filters, "reduction", id);
    let named = |what: &str| format!("reduction_{what}_{id}");
    let padded = h.x.zero_padding2d(padding(h.size, 3)).named(&named("pad_1"));
    let maximum = |name: &str| padded.max_pool2d_with(MaxPool2d::new(3).stride(2)).named(&named(name));
    let a = separable(draft, h, filters, 5, 2, &named("left1"));
    let b = separable(draft, p, filters, 7, 2, &named("right1"));
    let first = Map { x: net.add(&[a.x, b.x]).named(&named("add_1")), ..a };
    let a = maximum("left2");
    let b = separable(draft, p, filters, 7, 2, &named("right2"));
    let second = net.add(&[a, b.x]).named(&named("add_2"));
    let a = padded.average_pool2d_with(AveragePool2d::new(3).stride(2)).named(&named("left3"));
    let b = separable(draft, p, filters, 5, 2, &named("right3"));
    let third = net.add(&[a, b.x]).named(&named("add3"));
    let a = first.x.average_pool2d_with(MEAN).named(&named("left4"));
    let fourth = net.add(&[second, a]);
    let a = separable(draft, first, filters, 3, 1, &named("left4"));
    let fifth = net.add(&[a.x, maximum("right5")]).named(&named("add4"));
    let all = net.concatenate(&[second, third, fourth, fifth]).named(&named("concat"));
    Map { x: all, channels: 4 * filters, size: first.size }
}

/// The mean of each pixel and those around it.
const MEAN: AveragePool2d = AveragePool2d::new(3).stride(1).padding(Padding::Same);

fn convolution(x: Value<'_>, filters: usize, kernel: [usize; 2], how: Conv2d) -> Value<'_> {
    x.conv2d_with(filters, kernel, how.no_bias()).initializer(Initializer::HeNormal)
}

fn normalized<'g>(x: Value<'g>, name: &str) -> Value<'g> {
    x.layer(BatchNormalization::new().momentum(0.9997)).named(name)
}

/// What the cell before the last gave, as large as the map and of so many channels. In the first cell it is the map, as it is.
fn adjusted<'g>(
    draft: &mut Draft<'g>,
    before: Option<Map<'g>>,
    like: Map<'g>,
    filters: usize,
    id: &str,
) -> Map<'g> {
    let Some(p) = before else { return like };
    let named = |what: &str| format!("adjust_{what}_{id}");
    let pixel = |x: Value<'g>, filters: usize, name: &str| {
        convolution(x, filters, [1, 1], Conv2d::same()).named(&named(name))
    };
    let x = if p.size != like.size {
        let x = p.x.relu().named(&named("relu_1"));
        // Each second pixel, and each second of those between.
        let second = |x: Value<'g>, i: usize| {
            let x = x
                .average_pool2d_with(AveragePool2d::new(1).stride(2))
                .named(&named(&format!("avg_pool_{i}")));
            pixel(x, filters / 2, &format!("conv_{i}"))
        };
        let (a, between) = (second(x, 1), x.zero_padding2d([[0, 1]; 2]).cropping2d([[1, 0]; 2]));
        draft.net.concatenate(&[a, second(between, 2)])
    } else if p.channels != filters {
        pixel(draft.relu(p.x), filters, "conv_projection")
    } else {
        return p;
    };
    Map { x: normalized(x, &named("bn")), channels: filters, size: like.size }
}

/// What the last cell gave, of so many channels.
fn projected<'g>(draft: &mut Draft<'g>, x: Map<'g>, filters: usize, cell: &str, id: &str) -> Map<'g> {
    let y =
        convolution(draft.relu(x.x), filters, [1, 1], Conv2d::same()).named(&format!("{cell}_conv_1_{id}"));
    Map { x: normalized(y, &format!("{cell}_bn_1_{id}")), channels: filters, ..x }
}

/// Twice activated, convolved and normalised, the first time with the stride.
fn separable<'g>(
    draft: &mut Draft<'g>,
    p: Map<'g>,
    filters: usize,
    kernel: usize,
    stride: usize,
    id: &str,
) -> Map<'g> {
    let (mut x, mut how, mut size) = (draft.relu(p.x), SeparableConv2d::same(), p.size);
    if stride == 2 {
        x = x.zero_padding2d(padding(size, kernel)).named(&format!("separable_conv_1_pad_{id}"));
        (how, size) = (SeparableConv2d::valid().stride(2), halved(size));
    }
    for (i, how) in [(1, how), (2, SeparableConv2d::same())] {
        if i == 2 {
            x = draft.relu(x);
        }
        x = x.separable_conv2d_with(filters, [kernel; 2], how.no_bias());
        x = normalized(x.named(&format!("separable_conv_{i}_{id}")), &format!("separable_conv_{i}_bn_{id}"));
    }
    Map { x, channels: filters, size }
}
