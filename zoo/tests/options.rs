//! What a net can be told, and what is refused.

use bantam::{ChannelOrder, Model, Options, Scaling, Session};
use bantam_zoo::{
    NAMES, by_name, decode_predictions, densenet121, efficientnet_b0, mobilenet, mobilenet_v2, nasnet_mobile,
    resnet8, vgg16,
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
