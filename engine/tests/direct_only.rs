//! Convolutions without Winograd's algorithm, for who asks.

use bantam::{Conv2d, Isa, Model, Sequential, Session};
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};

const INPUT: [usize; 3] = [30, 29, 32];

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn run(model: &Model<'_>, isa: Isa, image: &[f32]) -> Vec<u32> {
    bits(Session::new(model, 1, isa).unwrap().run(image).unwrap())
}

#[test]
fn the_direct_kernel_runs() {
    let net = |how| Sequential::new(INPUT).conv2d_with(24, [3, 3], how).build(5).unwrap();
    let (chosen, asked) = (net(Conv2d::same()), net(Conv2d::same().direct_only()));
    let image: Vec<f32> =
        (0..INPUT.iter().product()).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
    let [kernel, bias] = [0, 1].map(|i| chosen.layers()[0].parameters()[i].values());
    let [h, w, c] = INPUT;
    let geometry = Geometry::new([1, h, w, c], [3, 3], 24, [1, 1], Padding::Same).unwrap();
    for isa in Isa::available() {
        let mut packed = vec![0.0; conv2d::packed_len(isa, &geometry)];
        conv2d::pack(isa, &geometry, kernel, &mut packed).unwrap();
        let mut output = vec![0.0; h * w * 24];
        conv2d::forward(isa, &geometry, &image, &packed, Some(bias), Activation::None, &mut output).unwrap();
        assert_eq!(run(&asked, isa, &image), bits(&output), "{isa}");
        assert_eq!(run(&chosen.clone().direct_only(), isa, &image), bits(&output), "{isa}");
        assert_ne!(run(&chosen, isa, &image), bits(&output), "{isa}: Winograd's algorithm is faster here");
    }
}
