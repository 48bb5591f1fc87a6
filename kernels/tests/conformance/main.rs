//! Every kernel on every instruction set of this machine against the reference.
//!
//! Outputs are filled with NaN and stand between canaries, inputs have exactly the length that the
//! shape asks for, and where all numbers are small integers results must agree to the bit.
//!
//! `BANTAM_TEST_ISA=avx2` runs that instruction set alone and fails where it is missing; `BANTAM_TEST_CASES=8` draws
//! so many random shapes for each kernel and not 64, for an emulator.

mod avg_pool2d;
mod batch_normalization;
mod channels;
mod conv2d;
mod convolution;
mod depthwise_conv2d;
mod elementwise;
mod geometry;
mod global_max_pool2d;
mod hundred_million;
mod loss;
#[cfg(feature = "matmul")]
mod matmul;
mod max_pool2d;
mod normalization;
mod optimizer;
mod peak;
mod recurrent;
mod reduce;
mod refusal;
mod softmax;
mod support;
mod upsample2d;
mod warp;
mod winograd;

/// A test for each kernel, named as it is. `kernels_are_listed` finds the ones that are missing.
macro_rules! conformance {
    ($($(#[$attribute:meta])* $module:ident { $($kernel:ident),* $(,)? })*) => {
        const LISTED: &[&str] = &[$($(concat!(stringify!($module), "::", stringify!($kernel)),)*)*];

        mod conforms {
            $($(#[$attribute])* mod $module {$(
                #[test]
                fn $kernel() {
                    for isa in crate::support::isas() {
                        crate::$module::$kernel(isa);
                    }
                }
            )*})*
        }
    };
}

conformance! {
    avg_pool2d { forward, grad_input }
    batch_normalization { moments, merge_moments, grad_sums, grad_input }
    channels {
        scale_shift, scale_shift_in_place, shift_in_place, normalize, mul, mul_assign, grad_scale, copy,
        prelu, prelu_in_place, prelu_slopes, grad_alpha,
    }
    conv2d {
        forward, grad_input, grad_weights,
        pack, pack_transposed, packed_len, packed_transposed_len, takes_plain_weights,
    }
    depthwise_conv2d { forward, grad_input, grad_weights }
    elementwise {
        add, add_assign, mul, mul_assign, sub, sub_assign,
        extreme, extreme_assign, keep_equal, keep_unequal, add_penalty_grad, map, map_in_place, map_grad,
    }
    global_max_pool2d { forward, grad_input }
    loss { of_elements, of_elements_grad, of_rows, of_rows_grad }
    #[cfg(feature = "matmul")]
    matmul { matmul }
    max_pool2d { argmax_len, forward, forward_argmax, grad_input }
    normalization { forward, forward_in_place, normalize, grad_input }
    optimizer {
        sgd, sgd_momentum, rmsprop, rmsprop_momentum, rmsprop_centered, rmsprop_centered_momentum,
        adagrad, adam, amsgrad, adamax, nadam, lion, ema, clip, scale, decay,
    }
    peak { multiply_adds }
    recurrent { lstm, lstm_grad, gru, gru_grad }
    reduce { sum, sum_squares, sum_rows, penalty }
    softmax { forward, grad, forward_along, grad_along }
    upsample2d { bilinear, grad_bilinear }
    warp { affine }
}

/// A kernel is a public function at the top of a module; a module may be a folder.
#[test]
fn kernels_are_listed() {
    use std::{fs, path::Path};

    fn kernels(path: &Path, module: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let module = if module.is_empty() { stem } else { module };
            if ["simd", "reference"].contains(&module) {
                continue;
            }
            if path.is_dir() {
                kernels(&path, module, found);
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                if let Some(signature) = line.strip_prefix("pub fn ") {
                    let name = signature.split(['(', '<']).next().unwrap();
                    found.push(format!("{module}::{name}"));
                }
            }
        }
    }

    let mut found = Vec::new();
    kernels(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    found.sort();
    let mut listed = LISTED.to_vec();
    listed.sort();
    assert_eq!(found, listed, "left: the kernels of the crate, right: those of the suite");
}
