//! Kernels without a heap: this image has no allocator, so that it links only if nothing in
//! `bantam-kernels` allocates.
#![no_std]
#![no_main]

use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};
use bantam_kernels::{Error, Isa, max_pool2d};
use firmware::println;

firmware::program!(run);

/// A convolution and a max-pool of small whole numbers, whose results are known to the bit.
fn blur_and_pool() -> Result<bool, Error> {
    let isa = Isa::detect();
    let g = Geometry::new([1, 4, 4, 1], [3, 3], 1, [1, 1], Padding::Same)?;
    let mut packed = [0.0; 36];
    let packed = &mut packed[..conv2d::packed_len(isa, &g)];
    conv2d::pack(isa, &g, &[1.0; 9], packed)?;
    let image: [f32; 16] = core::array::from_fn(|i| i as f32);
    let mut sums = [0.0; 16];
    conv2d::forward(isa, &g, &image, packed, Some(&[-30.0]), Activation::Relu, &mut sums)?;
    let pool = max_pool2d::Geometry::new([1, 4, 4, 1], [2, 2], [2, 2], Padding::Valid)?;
    let mut maxima = [0.0; 4];
    max_pool2d::forward(isa, &pool, Activation::None, &sums, &mut maxima)?;
    Ok(maxima == [15.0, 24.0, 51.0, 60.0])
}

fn run() -> Result<bool, Error> {
    let right = blur_and_pool()?;
    println!("kernels: {}", if right { "as expected" } else { "wrong numbers" });
    Ok(right)
}
