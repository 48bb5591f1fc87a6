//! What a net can be told, and what is refused.

use bantam::{
    BatchNormalization, ChannelOrder, Dropout, Layer, Loss, Model, Options, Samples, Scaling, Sequential,
    Session, Sgd, Tensor, Trainer,
};
use bantam_zoo::{
    ClassifierActivation, NAMES, by_name, decode_predictions, densenet121, efficientnet_b0, mobilenet,
    mobilenet_v2, nasnet_mobile, resnet8, resnet50, vgg16,
};

#[test]
fn what_cannot_be_is_refused() {
    let refused = |net: bantam_zoo::Net| net.build(1).unwrap_err().to_string();
    assert_eq!(refused(vgg16().input([224, 31, 3])), "side of an image: expected at least 32, got 31");
    assert_eq!(refused(vgg16().alpha(0.5)), "alpha: expected 1, as the net has one width, got 0.5");
    for alpha in [0.0, -1.0, 1e3, f64::INFINITY, f64::NAN] {
        let text = refused(mobilenet().alpha(alpha));
        assert!(text.starts_with("alpha: expected above 0 and at most 100, got"), "{text}");
    }
    let none = "1, as the net has no other";
    assert_eq!(refused(vgg16().depth_multiplier(2)), format!("depth multiplier: expected {none}, got 2"));
    assert!(refused(mobilenet().depth_multiplier(0)).contains("conv_dw_1"));
    assert_eq!(
        refused(resnet8().dropout(0.5)),
        "dropout: expected none told, as the net has its own, got 0.5"
    );
    assert!(refused(mobilenet().dropout(1.0)).contains("dropout"));
    // So narrow that a layer has no filters.
    assert!(refused(mobilenet().alpha(0.01)).contains("conv1"));
    assert!(refused(resnet8().classes(0)).contains("dense"));
    assert_eq!(refused(resnet8().input([32, 32, 0])), "dimension: expected at least 1, got 0");
}

#[test]
fn names_are_those_of_the_functions() {
    for name in NAMES {
        assert_eq!(by_name(name).unwrap().name(), *name);
    }
}

#[test]
fn weights_are_of_the_seed_or_of_who_gives_them() {
    let net = resnet8();
    assert_eq!(net.build(1).unwrap(), net.build(1).unwrap());
    assert_ne!(net.build(1).unwrap(), net.build(2).unwrap());
    let drawn = net.build(1).unwrap();
    let given = net.build_with(&mut |layer, array, shape| {
        let found = drawn.weights(layer)?.iter().find(|weights| weights.name() == array).unwrap();
        assert_eq!(found.shape(), shape);
        Ok(found.values().into())
    });
    assert_eq!(given.unwrap(), drawn);
    let none = net.build_with(&mut |_, _, _| Ok(vec![0.0].into())).unwrap_err().to_string();
    assert!(none.contains("conv2d") && none.contains("expected 432 elements, got 1"), "{none}");
}

/// A file keeps what is to be done to an image; images of other channels than three have no means.
#[test]
fn metadata_tell_what_a_net_takes() {
    let model = densenet121().include_top(false).input([32, 32, 1]).build(1).unwrap();
    assert_eq!(model.metadata().unwrap().scaling, []);
    let model = vgg16().include_top(false).input([32, 32, 3]).build(1).unwrap();
    let bytes = model.to_bytes().unwrap();
    let metadata = Model::from_bytes(&bytes).unwrap().metadata().unwrap();
    assert_eq!(metadata.channel_order, ChannelOrder::Bgr);
    assert_eq!(metadata.scaling[0], Scaling { scale: 1.0, offset: -103.939 });
    assert_eq!(metadata.notes, [("net".into(), "vgg16".into())]);
}

#[test]
fn predictions_are_the_most_probable() {
    let names = ["a", "b", "c", "d"].map(String::from);
    let output = [0.1, 0.4, 0.4, 0.1];
    let best = decode_predictions(&output, &names, 3).unwrap();
    assert_eq!(
        best.iter().map(|best| (best.class, best.name)).collect::<Vec<_>>(),
        [(1, "b"), (2, "c"), (0, "a")]
    );
    assert_eq!(best[0].probability, 0.4);
    assert_eq!(decode_predictions(&output, &[], 9).unwrap().len(), 4);
    assert_eq!(decode_predictions(&output, &[], 1).unwrap()[0].name, "");
    let wrong = decode_predictions(&output, &names[..3], 1).unwrap_err().to_string();
    assert_eq!(wrong, "class names: expected none, or one for each number of the output, got 3");
    assert!(decode_predictions(&[0.0, f32::NAN], &[], 1).is_err());
    let model = resnet8().build(1).unwrap();
    let mut session = Session::new(&model, Options::new(1)).unwrap();
    let output = session.run(&[100.0; 32 * 32 * 3]).unwrap();
    let all = decode_predictions(output, &[], 10).unwrap();
    let sum: f32 = all.iter().map(|prediction| prediction.probability).sum();
    assert!((sum - 1.0).abs() < 10.0 * f32::EPSILON, "{sum}");
}

/// Before the activation of the classes lie the logits.
#[test]
fn classes_end_in_the_activation_that_was_asked_for() {
    let image = vec![0.5; 32 * 32 * 3];
    for net in [resnet8(), mobilenet().alpha(0.25).input([32, 32, 3]).classes(10)] {
        let run = |activation| {
            let model = net.classifier_activation(activation).build(3).unwrap();
            Session::new(&model, Options::new(1)).unwrap().run(&image).unwrap().to_vec()
        };
        let logits = run(ClassifierActivation::None);
        let powers: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
        let sum: f64 = powers.iter().sum();
        for (softmax, power) in run(ClassifierActivation::Softmax).into_iter().zip(&powers) {
            // A sum of ten, and two functions.
            assert!((f64::from(softmax) - power / sum).abs() <= 16.0 * f64::from(f32::EPSILON));
        }
        for (sigmoid, power) in run(ClassifierActivation::Sigmoid).into_iter().zip(&powers) {
            assert!((f64::from(sigmoid) - power / (1.0 + power)).abs() <= 8.0 * f64::from(f32::EPSILON));
        }
    }
    for name in NAMES {
        let last = |activation| {
            let net = by_name(name).unwrap().classifier_activation(activation);
            let model = net.build_with(&mut |_, _, shape| Ok(vec![0.0; shape.elements()].into())).unwrap();
            model.nodes().last().map(|node| node.layer_type().name())
        };
        assert_eq!(last(ClassifierActivation::Softmax), Some("Softmax"), "{name}");
        assert_eq!(last(ClassifierActivation::Sigmoid), Some("Sigmoid"), "{name}");
        assert!(matches!(last(ClassifierActivation::None), Some("Dense" | "Reshape")), "{name}");
    }
}

#[test]
fn the_dropout_of_a_mobilenet_is_keras_s_or_another() {
    for (net, rate) in [(mobilenet(), 1e-3), (mobilenet().dropout(0.25), 0.25)] {
        let model = net.alpha(0.25).input([32, 32, 3]).build(1).unwrap();
        let dropout = model.nodes().iter().find_map(|node| node.layer::<Dropout>()).unwrap();
        assert_eq!(dropout.rate, rate);
    }
}

/// Where a new head goes on: what is left without the top is what comes before it.
#[test]
fn a_base_ends_where_the_top_begins() {
    let nets = [
        mobilenet().alpha(0.25),
        mobilenet_v2().alpha(0.35),
        densenet121(),
        efficientnet_b0(),
        nasnet_mobile(),
        resnet8(),
    ];
    for net in nets {
        let net = if net.name() == "resnet8" { net } else { net.input([64, 64, 3]) };
        let [whole, base] = [true, false].map(|top| net.classes(2).include_top(top).build(1).unwrap());
        let last = base.nodes().last().map(bantam::Node::name);
        assert_eq!(whole.last_of_base().unwrap().map(bantam::Node::name), last, "{}", net.name());
        // A base is its own.
        assert_eq!(base.last_of_base().unwrap().map(bantam::Node::name), last, "{}", net.name());
    }
    // What is flat has no map, and neither has what begins with a branch.
    let flat = bantam::Sequential::new([4]).dense(2).build(1).unwrap();
    assert!(flat.last_of_base().unwrap().is_none());
    let net = bantam::GraphBuilder::new();
    let x = net.input([4, 4, 2]);
    let branches = net.build(&[net.add(&[x.conv2d(2, 1), x]).flatten()], 1).unwrap();
    assert_eq!(branches.last_of_base().unwrap().map(bantam::Node::name), Some("add"));
}

/// With its batch normalisations as they are, all else of it learns from 32 images at a time in a gigabyte.
#[test]
fn resnet50_is_fine_tuned_in_a_gigabyte() {
    const GIGABYTE: usize = 1_000_000_000;
    let base = resnet50().include_top(false).build(1).unwrap();
    let mut model =
        Sequential::new([224, 224, 3]).model(&base).global_average_pool2d().dense(10).build(1).unwrap();
    let nodes = model.nodes().iter().filter(|node| node.layer_type().name() == BatchNormalization::NAME);
    for name in nodes.map(|node| node.name().to_string()).collect::<Vec<_>>() {
        model.set_trainable(&name, false).unwrap();
    }
    let images = Tensor::new(&[32, 224, 224, 3], vec![0.5; 32 * 224 * 224 * 3]).unwrap();
    let images = Samples::new(images, Tensor::new(&[32, 1], vec![3.0; 32]).unwrap()).unwrap();
    let momentum = Sgd { momentum: 0.9, ..Sgd::default() };
    let trainer = Trainer::new(momentum, Loss::SoftmaxCrossEntropy).batch_size(32).threads(1);
    let bytes = |trainer: Trainer| trainer.peak_bytes(&model, &images).unwrap();
    assert!(bytes(trainer.clone()) > GIGABYTE);
    assert!(bytes(trainer.within(GIGABYTE)) <= GIGABYTE);
}
