//! Each net is Keras's: layers, their order, shapes and parameters, and what they compute.

#[path = "golden/mod.rs"]
mod golden;

use bantam::Model;
use bantam_zoo::{ClassifierActivation, NAMES, Net, Pooling, by_name};

/// Weights that take no memory until they are written to.
fn empty(net: &Net) -> Model<'static> {
    net.build_with(&mut |_, _, shape| Ok(vec![0.0; shape.elements()].into())).unwrap()
}

/// The net for that input, with what else is told of it: `notop:POOLING`, `classes:N`, `alpha:A`, `depth:N` or `logits:N`.
fn asked(net: &str, input: [usize; 3], options: Option<&str>) -> Net {
    let net = by_name(net).unwrap().input(input);
    let Some((key, value)) = options.map(|options| options.split_once(':').unwrap()) else { return net };
    match (key, value) {
        ("notop", "none") => net.include_top(false),
        ("notop", "avg") => net.include_top(false).pooling(Pooling::Average),
        ("notop", "max") => net.include_top(false).pooling(Pooling::Max),
        ("classes", classes) => net.classes(classes.parse().unwrap()),
        ("logits", classes) => {
            net.classes(classes.parse().unwrap()).classifier_activation(ClassifierActivation::None)
        }
        ("depth", outputs) => net.depth_multiplier(outputs.parse().unwrap()),
        ("alpha", alpha) => net.alpha(alpha.parse().unwrap()),
        _ => panic!("{key}:{value}"),
    }
}

/// `NAME SIZE,SIZE,... PARAMETERS` for each layer, without what Keras has inside of one.
fn lines(model: &Model<'_>) -> Vec<String> {
    let nodes = model.nodes().iter().filter(|node| !node.name().contains('/'));
    let line = nodes.map(|node| {
        let sizes: Vec<String> = node.output_shape().dims().iter().map(|size| size.to_string()).collect();
        let parameters: usize = model.parameters_of(node).iter().map(|array| array.values().len()).sum();
        format!("{} {} {parameters}", node.name(), sizes.join(","))
    });
    line.collect()
}

/// FNV-1a, of 64 bits.
fn digest(lines: &[String]) -> u64 {
    let bytes = lines.iter().flat_map(|line| line.bytes().chain([b'\n']));
    bytes
        .fold(0xcbf2_9ce4_8422_2325, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn layers_are_keras_s_in_keras_s_order() {
    let mut text = include_str!("golden/layers.txt").lines().peekable();
    let (mut nets, mut others) = (Vec::new(), 0);
    while let Some(line) = text.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let input = [1, 2, 3].map(|i| words[i].parse().unwrap());
        let model = empty(&asked(words[0], input, words.get(4).copied()));
        let got = lines(&model);
        if let [net, _, _, _, options, layers, parameters, sum] = words[..] {
            let told = format!("{net} {input:?} {options}");
            assert_eq!(got.len().to_string(), layers, "{told}");
            assert_eq!(model.parameter_count().to_string(), parameters, "{told}");
            assert_eq!(format!("{:016x}", digest(&got)), sum, "{told}");
            others += 1;
            continue;
        }
        assert_eq!(*model.input_shape().dims(), input);
        assert_eq!(by_name(words[0]).unwrap().input_shape(), input, "{}", words[0]);
        let mut before = "";
        for (i, got) in got.iter().enumerate() {
            let want: Vec<&str> = text.next().unwrap().split(' ').collect();
            let sizes = if want[1] == "." { before } else { want[1] };
            let parameters = want.get(2).unwrap_or(&"0");
            assert_eq!(*got, format!("{} {sizes} {parameters}", want[0]), "{}, layer {i}", words[0]);
            before = sizes;
        }
        nets.push(words[0]);
    }
    assert_eq!(nets, NAMES);
    // Four of each net, six widths of two, two depths of one, and the logits of six.
    assert_eq!(others, 4 * NAMES.len() + 2 * 6 + 2 + 6);
}

/// Of sums of so many numbers in turn, each as large as the result, the rounding errors add up as a random walk: by the root of
/// their number, in units of the last place of the result. A map passes through every layer, and so is of all their sums.
fn tolerance(model: &Model<'_>) -> f64 {
    let kernels = model.parameters().iter().filter(|array| array.name().contains("kernel"));
    let sums: usize = kernels.map(|kernel| golden::fan_in(kernel.shape())).sum();
    f64::from(f32::EPSILON) * (sums as f64).sqrt()
}

fn assert_computes_as_keras(of: &[&str]) {
    for outputs in golden::outputs().iter().filter(|outputs| of.contains(&outputs.net)) {
        let model = outputs.model().unwrap();
        let (difference, tolerance) = (outputs.difference(&model).unwrap(), tolerance(&model));
        println!(
            "{}: {difference:.2e} of {tolerance:.2e}, Keras {:.2e}",
            outputs.net,
            outputs.keras_error / outputs.largest
        );
        assert!(difference <= tolerance, "{}: {difference:e}, expected at most {tolerance:e}", outputs.net);
    }
}

#[test]
fn every_net_is_compared() {
    assert_eq!(golden::outputs().iter().map(|outputs| outputs.net).collect::<Vec<_>>(), NAMES);
}

#[test]
fn chains_compute_as_keras() {
    assert_computes_as_keras(&["vgg16", "vgg19", "mobilenet", "ds_cnn", "visual_wake_words"]);
}

#[test]
fn residual_nets_compute_as_keras() {
    assert_computes_as_keras(&["xception", "resnet50", "resnet50_v2", "mobilenet_v2", "resnet8"]);
    assert_computes_as_keras(&["efficientnet_b0", "efficientnet_lite0", "mcunet_in0", "mcunet_in1"]);
}

#[test]
fn deep_residual_nets_compute_as_keras() {
    assert_computes_as_keras(&["resnet101", "resnet152", "resnet101_v2", "resnet152_v2"]);
}

#[test]
fn branching_nets_compute_as_keras() {
    assert_computes_as_keras(&["inception_v3", "densenet121", "densenet169", "densenet201", "nasnet_mobile"]);
}

#[test]
fn the_largest_net_computes_as_keras() {
    assert_computes_as_keras(&["nasnet_large"]);
}

/// The pixel of `keras.py`.
#[test]
fn images_are_prepared_as_keras_prepares_them() {
    let mut compared = 0;
    for line in include_str!("golden/pixels.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let net = by_name(words[0]).unwrap().include_top(false);
        let mut pixel = [200.0, 100.0, 50.0];
        empty(&net).metadata().unwrap().scale(&mut pixel);
        for (got, want) in pixel.iter().zip(&words[1..]) {
            let want: f32 = want.parse().unwrap();
            // A division is a product with the rounded inverse here, and a difference a sum with the rounded quotient.
            assert!(
                (got - want).abs() <= 4.0 * f32::EPSILON * want.abs().max(1.0),
                "{line}: {got}, expected {want}"
            );
        }
        compared += 1;
    }
    assert_eq!(compared, NAMES.len() - 6);
}
