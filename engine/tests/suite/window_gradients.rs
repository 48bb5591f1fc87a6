//! As `gradients`, for layers over series, and for what moves and enlarges maps.

use crate::gradients::check;
use bantam::{
    AveragePool1d, AveragePool2d, Concatenate, Conv1d, Conv1dTranspose, Conv2dTranspose, Cropping1d,
    Cropping2d, DepthwiseConv1d, GlobalAveragePool1d, GlobalMaxPool1d, MaxPool1d, MaxPool2d, Padding,
    Permute, Reshape, UpSampling1d, UpSampling2d, ZeroPadding1d,
};

/// The windows of an axis: of each the cells that it sees, with the tap that sees them, and how many of its cells are in
/// the input or its padding.
struct Windows(Vec<(Vec<[usize; 2]>, usize)>);

impl Windows {
    /// One after the other, as long as a window has room, or in ceil mode begins before the end of the input.
    fn new(
        input: usize,
        [window, stride, dilation]: [usize; 3],
        [before, after]: [usize; 2],
        ceil: bool,
    ) -> Windows {
        let (extent, padded) = ((window - 1) * dilation + 1, before + input + after);
        let fits = |&start: &usize| start + extent <= padded;
        let floor = (0..).step_by(stride).take_while(fits).count();
        let next = floor * stride;
        let more = ceil && next < before + input && next - stride + extent < padded;
        let cells = |position: usize| {
            let taps = (0..window).map(|tap| [position * stride + tap * dilation, tap]);
            let inside = taps.clone().filter(|&[at, _]| (before..before + input).contains(&at));
            (
                inside.map(|[at, tap]| [at - before, tap]).collect(),
                taps.filter(|&[at, _]| at < padded).count(),
            )
        };
        Windows((0..floor + usize::from(more)).map(cells).collect())
    }
}

const AROUND: Padding = Padding::Explicit { top: 1, bottom: 2, left: 2, right: 0 };

#[test]
fn pools_of_all_kinds() {
    // Window, stride and dilation of each axis; padding; ceil mode.
    let cases = [
        ([3, 1, 1], [2, 3, 1], Padding::Valid, false),
        ([2, 1, 3], [3, 2, 2], Padding::Valid, false),
        ([3, 2, 1], [3, 3, 1], AROUND, false),
        ([3, 2, 1], [3, 3, 1], AROUND, true),
        ([2, 2, 1], [2, 3, 1], Padding::Valid, true),
        ([2, 2, 2], [3, 2, 1], AROUND, true),
    ];
    let (n, h, w, c) = (2, 7, 8, 3);
    for (down, across, padding, ceil) in cases {
        let pads = match padding {
            Padding::Explicit { top, bottom, left, right } => [[top, bottom], [left, right]],
            _ => [[0; 2]; 2],
        };
        let (rows, columns) = (Windows::new(h, down, pads[0], ceil), Windows::new(w, across, pads[1], ceil));
        let pooled = |x: &[f64], of: &dyn Fn(&[f64], usize) -> f64| {
            let mut y = Vec::new();
            for n in 0..n {
                for (rows, row_count) in &rows.0 {
                    for (columns, column_count) in &columns.0 {
                        y.extend((0..c).map(|c_at| {
                            let cells = rows.iter().flat_map(|[row, _]| {
                                columns
                                    .iter()
                                    .map(move |[column, _]| x[((n * h + row) * w + column) * c + c_at])
                            });
                            of(&cells.collect::<Vec<_>>(), row_count * column_count)
                        }));
                    }
                }
            }
            y
        };
        let [window, strides, dilations] = [0, 1, 2].map(|i| [down[i], across[i]]);
        let maximum = MaxPool2d::rectangular(window).strides(strides).dilations(dilations).padding(padding);
        let mean = AveragePool2d::rectangular(window).strides(strides).dilations(dilations).padding(padding);
        let (maximum, mean) = if ceil { (maximum.ceil_mode(), mean.ceil_mode()) } else { (maximum, mean) };
        let shape: &[usize] = &[n, h, w, c];
        let largest = |cells: &[f64], _| cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        check("max_pool2d", &[shape], &|x| pooled(&x[0], &largest), &|tape, v| tape.layer(maximum, v, &[]));
        let inside = |cells: &[f64], _| cells.iter().sum::<f64>() / cells.len() as f64;
        check("average_pool2d", &[shape], &|x| pooled(&x[0], &inside), &|tape, v| tape.layer(mean, v, &[]));
        let counted = |cells: &[f64], count| cells.iter().sum::<f64>() / count as f64;
        let counting = mean.count_padding();
        check("average_pool2d", &[shape], &|x| pooled(&x[0], &counted), &|tape, v| {
            tape.layer(counting, v, &[])
        });
    }
}

#[test]
fn conv2d_transpose() {
    let [valid, same] = [Conv2dTranspose::valid(), Conv2dTranspose::same()];
    // How; kernel, stride, dilation and padding before of each axis; the output's size.
    let cases = [
        (valid, [[3, 1, 1, 0], [2, 1, 1, 0]], [5, 5]),
        (same.stride(2), [[3, 2, 1, 0], [4, 2, 1, 1]], [6, 8]),
        (valid.dilation(2), [[3, 1, 2, 0], [2, 1, 2, 0]], [7, 6]),
        (valid.stride(3).dilation(2), [[3, 3, 2, 0], [2, 3, 2, 0]], [11, 12]),
        (Conv2dTranspose::padded(AROUND).stride(2), [[4, 2, 1, 1], [5, 2, 1, 2]], [5, 9]),
        (same.strides([2, 3]).output_padding([1, 0]), [[2, 2, 1, 0], [3, 3, 1, 1]], [5, 10]),
    ];
    let (n, h, w, c, filters) = (2, 3, 4, 3, 5);
    for (how, [down, across], [oh, ow]) in cases {
        for relu in [false, true] {
            let function = |x: &[Vec<f64>]| {
                let mut y: Vec<f64> = (0..n * oh * ow).flat_map(|_| x[2].clone()).collect();
                for at in 0..n * h * w * c * down[0] * across[0] {
                    let (tap, at) = (at % (down[0] * across[0]), at / (down[0] * across[0]));
                    let (channel, pixel) = (at % c, at / c);
                    let (image, row, column) = (pixel / (h * w), pixel / w % h, pixel % w);
                    let (ky, kx) = (tap / across[0], tap % across[0]);
                    let to =
                        |at: usize, tap: usize, [_, stride, dilation, before]: [usize; 4], size: usize| {
                            (at * stride + tap * dilation).checked_sub(before).filter(|&at| at < size)
                        };
                    if let (Some(row), Some(column)) = (to(row, ky, down, oh), to(column, kx, across, ow)) {
                        for f in 0..filters {
                            y[((image * oh + row) * ow + column) * filters + f] +=
                                x[0][at] * x[1][(tap * filters + f) * c + channel];
                        }
                    }
                }
                y.into_iter().map(|y| if relu { y.max(0.0) } else { y }).collect()
            };
            let kernel = [down[0], across[0]];
            let shapes: [&[usize]; 3] = [&[n, h, w, c], &[kernel[0], kernel[1], filters, c], &[filters]];
            check("conv2d_transpose", &shapes, &function, &|tape, v| {
                let y = tape.layer(how.filters(filters).kernel(kernel), &v[..1], &v[1..])?;
                if relu { tape.relu(y) } else { Ok(y) }
            });
        }
    }
}

#[test]
fn convolutions_of_series() {
    let (n, l, c, filters, kernel) = (2, 9, 4, 6, 3);
    let shape: &[usize] = &[n, l, c];
    for (how, groups, [stride, dilation], pads) in [
        (Conv1d::valid(), 1, [1, 1], [0, 0]),
        (Conv1d::causal().stride(2), 1, [2, 1], [2, 0]),
        (Conv1d::causal().dilation(3), 1, [1, 3], [6, 0]),
        (Conv1d::same().groups(2), 2, [1, 1], [1, 1]),
    ] {
        let windows = Windows::new(l, [kernel, stride, dilation], pads, false);
        let (seen, of_group) = (c / groups, filters / groups);
        let function = |x: &[Vec<f64>]| {
            let mut y = Vec::new();
            for n in 0..n {
                for (cells, _) in &windows.0 {
                    y.extend((0..filters).map(|f| {
                        let products = cells.iter().flat_map(|&[at, tap]| {
                            (0..seen).map(move |i| {
                                x[0][(n * l + at) * c + f / of_group * seen + i]
                                    * x[1][(tap * seen + i) * filters + f]
                            })
                        });
                        products.sum::<f64>() + x[2][f]
                    }));
                }
            }
            y
        };
        check("conv1d", &[shape, &[kernel, seen, filters], &[filters]], &function, &|tape, v| {
            tape.layer(how.filters(filters).kernel(kernel), &v[..1], &v[1..])
        });
    }
    let windows = Windows::new(l, [kernel, 2, 1], [1, 1], false);
    let depthwise = |x: &[Vec<f64>]| {
        let mut y = Vec::new();
        for n in 0..n {
            for (cells, _) in &windows.0 {
                y.extend((0..c * 2).map(|f| {
                    let products =
                        cells.iter().map(|&[at, tap]| x[0][(n * l + at) * c + f / 2] * x[1][tap * c * 2 + f]);
                    products.sum::<f64>() + x[2][f]
                }));
            }
        }
        y
    };
    let how = DepthwiseConv1d::same().stride(2).multiplier(2).kernel(kernel);
    check("depthwise_conv1d", &[shape, &[kernel, c, 2], &[c * 2]], &depthwise, &|tape, v| {
        tape.layer(how, &v[..1], &v[1..])
    });
    let transposed = |x: &[Vec<f64>]| {
        let mut y: Vec<f64> = (0..n * 2 * l).flat_map(|_| x[2].clone()).collect();
        for at in 0..n * l {
            for (tap, f, i) in (0..kernel * filters * c).map(|k| (k / c / filters, k / c % filters, k % c)) {
                let to = at % l * 2 + tap;
                if to < 2 * l {
                    y[(at / l * 2 * l + to) * filters + f] +=
                        x[0][at * c + i] * x[1][(tap * filters + f) * c + i];
                }
            }
        }
        y
    };
    let how = Conv1dTranspose::same().stride(2).filters(filters).kernel(kernel);
    check("conv1d_transpose", &[shape, &[kernel, filters, c], &[filters]], &transposed, &|tape, v| {
        tape.layer(how, &v[..1], &v[1..])
    });
}

#[test]
fn pools_of_series() {
    let (n, l, c) = (2, 9, 5);
    let shape: &[usize] = &[n, l, c];
    let pooled = |x: &[f64], windows: &Windows, of: fn(&[f64]) -> f64| {
        let mut y = Vec::new();
        for n in 0..n {
            for (cells, _) in &windows.0 {
                let of_channel = |channel| cells.iter().map(move |[at, _]| x[(n * l + at) * c + channel]);
                y.extend((0..c).map(|channel| of(&of_channel(channel).collect::<Vec<_>>())));
            }
        }
        y
    };
    let largest = |cells: &[f64]| cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = |cells: &[f64]| cells.iter().sum::<f64>() / cells.len() as f64;
    let windows = Windows::new(l, [3, 2, 2], [0, 0], true);
    let how = MaxPool1d::new(3).stride(2).dilation(2).ceil_mode();
    check("max_pool1d", &[shape], &|x| pooled(&x[0], &windows, largest), &|tape, v| tape.layer(how, v, &[]));
    let how = AveragePool1d::new(3).stride(2).dilation(2).ceil_mode();
    check("average_pool1d", &[shape], &|x| pooled(&x[0], &windows, mean), &|tape, v| tape.layer(how, v, &[]));
    let all = Windows::new(l, [l, 1, 1], [0, 0], false);
    let how = GlobalMaxPool1d::new();
    check("global_max_pool1d", &[shape], &|x| pooled(&x[0], &all, largest), &|tape, v| {
        tape.layer(how, v, &[])
    });
    let how = GlobalAveragePool1d::new();
    check("global_average_pool1d", &[shape], &|x| pooled(&x[0], &all, mean), &|tape, v| {
        tape.layer(how, v, &[])
    });
}

#[test]
fn ends_of_series() {
    let shape: &[usize] = &[2, 5, 3];
    let cropped = |x: &[Vec<f64>]| x[0].chunks(15).flat_map(|x| x[3..9].to_vec()).collect();
    let how = Cropping1d::new([1, 2]);
    check("cropping1d", &[shape], &cropped, &|tape, v| tape.layer(how, v, &[]));
    let padded =
        |x: &[Vec<f64>]| x[0].chunks(15).flat_map(|x| [&[0.0; 3][..], x, &[0.0; 6]].concat()).collect();
    let how = ZeroPadding1d::new([1, 2]);
    check("zero_padding1d", &[shape], &padded, &|tape, v| tape.layer(how, v, &[]));
    let repeated = |x: &[Vec<f64>]| x[0].chunks(3).flat_map(|x| [x, x].concat()).collect();
    let how = UpSampling1d::default();
    check("up_sampling1d", &[shape], &repeated, &|tape, v| tape.layer(how, v, &[]));
}

#[test]
fn maps_cut_and_enlarged() {
    let (n, h, w, c) = (2, 4, 3, 5);
    let shape: &[usize] = &[n, h, w, c];
    let at = |n: usize, row: usize, column: usize, channel: usize| ((n * h + row) * w + column) * c + channel;
    // Of each pixel of an output of that size its shares of some of the input.
    let made_of =
        |x: &[f64], [oh, ow]: [usize; 2], shares: &dyn Fn(usize, usize) -> Vec<([usize; 2], f64)>| {
            let mut y = Vec::new();
            for (n, row, column) in (0..n * oh * ow).map(|at| (at / ow / oh, at / ow % oh, at % ow)) {
                let shares = shares(row, column);
                y.extend((0..c).map(|channel| {
                    shares
                        .iter()
                        .map(|&([row, column], share)| share * x[at(n, row, column, channel)])
                        .sum::<f64>()
                }));
            }
            y
        };
    let cropped = |x: &[Vec<f64>]| made_of(&x[0], [2, 2], &|row, column| vec![([row + 1, column], 1.0)]);
    let how = Cropping2d::new([[1, 1], [0, 1]]);
    check("cropping2d", &[shape], &cropped, &|tape, v| tape.layer(how, v, &[]));
    let nearest = |x: &[Vec<f64>]| made_of(&x[0], [8, 9], &|row, column| vec![([row / 2, column / 3], 1.0)]);
    let how = UpSampling2d::new([2, 3]);
    check("up_sampling2d", &[shape], &nearest, &|tape, v| tape.layer(how, v, &[]));
    let axis = |pixel: usize, factor: usize, size: usize| {
        let centre = ((pixel as f64 + 0.5) / factor as f64 - 0.5).clamp(0.0, (size - 1) as f64);
        (0..size)
            .map(move |cell| (cell, 1.0 - (cell as f64 - centre).abs()))
            .filter(|&(_, share)| share > 0.0)
    };
    let bilinear = |x: &[Vec<f64>]| {
        made_of(&x[0], [8, 9], &|row, column| {
            let rows = axis(row, 2, h);
            rows.flat_map(|(row, down)| {
                axis(column, 3, w).map(move |(column, across)| ([row, column], down * across))
            })
            .collect()
        })
    };
    check("up_sampling2d", &[shape], &bilinear, &|tape, v| tape.layer(how.bilinear(), v, &[]));
}

#[test]
fn numbers_in_another_order() {
    let shape: &[usize] = &[2, 3, 4, 5];
    let permuted = |x: &[Vec<f64>]| {
        let of = |at: usize| {
            let (n, a, b, c) = (at / 60, at / 12 % 5, at / 4 % 3, at % 4);
            x[0][n * 60 + b * 20 + c * 5 + a]
        };
        (0..120).map(of).collect()
    };
    let how = Permute::new([3, 1, 2]);
    check("permute", &[shape], &permuted, &|tape, v| tape.layer(how, v, &[]));
    let how = Reshape::new([-1, 10]);
    check("reshape", &[shape], &|x| x[0].clone(), &|tape, v| tape.layer(how, v, &[]));
    let columns = |x: &[Vec<f64>]| {
        let rows = x[0].chunks(20).zip(x[1].chunks(10));
        rows.flat_map(|(a, b)| [a, b].concat()).collect()
    };
    let how = Concatenate::new().axis(2);
    check("concatenate", &[shape, &[2, 3, 2, 5]], &columns, &|tape, v| tape.layer(how, v, &[]));
}
