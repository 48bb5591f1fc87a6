//! Times the direct convolution, forward and backward, beside the peak measured in the same run.

use bantam_benches::{best_of, measured_peak, numbers};
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};
use bantam_kernels::{Error, Isa};

fn main() -> Result<(), Error> {
    let isa = std::env::args().nth(1).and_then(|n| Isa::named(&n)).unwrap_or_else(Isa::detect);
    let same = |p| Padding::Explicit { top: p, bottom: p, left: p, right: p };
    let g = |n, c, h, f, k, s, p| Geometry::new([n, h, h, c], [k, k], f, [s, s], same(p));
    let layers = [
        ("mnist1", g(1, 1, 28, 32, 3, 1, 0)?),
        ("mnist2", g(1, 32, 13, 64, 3, 1, 0)?),
        ("mnist3", g(1, 64, 5, 64, 3, 1, 0)?),
        ("mnist1-b64", g(64, 1, 28, 32, 3, 1, 0)?),
        ("mnist2-b64", g(64, 32, 13, 64, 3, 1, 0)?),
        ("mnist3-b64", g(64, 64, 5, 64, 3, 1, 0)?),
        ("vgg1_1", g(1, 3, 224, 64, 3, 1, 1)?),
        ("vgg1_2", g(1, 64, 224, 64, 3, 1, 1)?),
        ("vgg2_2", g(1, 128, 112, 128, 3, 1, 1)?),
        ("vgg3_2", g(1, 256, 56, 256, 3, 1, 1)?),
        ("vgg4_2", g(1, 512, 28, 512, 3, 1, 1)?),
        ("vgg5_2", g(1, 512, 14, 512, 3, 1, 1)?),
        ("resnet-stem", g(1, 3, 224, 64, 7, 2, 3)?),
        ("resnet-3x3a", g(1, 64, 56, 64, 3, 1, 1)?),
        ("resnet-3x3d", g(1, 512, 7, 512, 3, 1, 1)?),
        ("resnet-3x3s2", g(1, 128, 56, 128, 3, 2, 1)?),
        ("resnet-1x1a", g(1, 256, 56, 64, 1, 1, 0)?),
        ("resnet-1x1d", g(1, 512, 7, 2048, 1, 1, 0)?),
    ];
    let only = std::env::args().nth(2).unwrap_or_default();
    for (name, g) in layers {
        if !name.contains(&only) {
            continue;
        }
        let peak = measured_peak(isa);
        let len = |s: [usize; 4]| s.iter().product::<usize>();
        let (x, w, b) = (numbers(len(g.input())), numbers(len(g.weights())), numbers(g.output()[3]));
        let mut y = vec![0.0; len(g.output())];
        let mut packed = vec![0.0; conv2d::packed_len(isa, &g)];
        let mut packed_t = vec![0.0; conv2d::packed_transposed_len(isa, &g)];
        conv2d::pack(isa, &g, &w, &mut packed)?;
        conv2d::pack_transposed(isa, &g, &w, &mut packed_t)?;
        let reps = ((peak * 0.02 / g.multiply_adds() as f64) as usize).max(1);
        let each = |s: f64| g.multiply_adds() as f64 * reps as f64 / s / peak * 100.0;
        let f = best_of(9, || {
            for _ in 0..reps {
                conv2d::forward(isa, &g, &x, &packed, Some(&b), Activation::Relu, &mut y).unwrap()
            }
        });
        let (mut dx, mut dw) = (x.clone(), w.clone());
        let gi = best_of(9, || {
            for _ in 0..reps {
                conv2d::grad_input(isa, &g, &y, &packed_t, &mut dx).unwrap()
            }
        });
        let rows = len(g.weights()) / g.output()[3];
        let gw = best_of(9, || {
            for _ in 0..reps {
                conv2d::grad_weights(isa, &g, &x, &y, 0..rows, &mut dw).unwrap()
            }
        });
        println!(
            "{name:14} {:8.1} us peak {:5.1} GF  forward {:5.1}%  grad_input {:5.1}%  grad_weights {:5.1}%",
            f / reps as f64 * 1e6,
            peak * 2e-9,
            each(f),
            each(gi),
            each(gw)
        );
    }
    Ok(())
}
