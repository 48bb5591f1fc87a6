//! Models that are cut, frozen in part, and built on.

use bantam::{Conv2d, Error, GraphBuilder, Model, Options, Sequential, Session, Shape};

/// Two branches of which one is not needed for the other's sum, and a layer that two places share.
fn classifier() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([8, 8, 2]);
    let stem = x.conv2d_with(4, [3, 3], Conv2d::same()).relu().named("stem");
    let side = stem.conv2d(3, 1).named("side");
    let again = stem.conv2d_with(4, [3, 3], Conv2d::same()).named("again");
    let shared = again.reuse_layer_of(again);
    let sum = net.add(&[stem, shared]).named("sum");
    let head = sum.global_average_pool2d().dense(3).named("head");
    net.build(&[head, side.flatten().dense(2)], 3).unwrap()
}

fn outputs(model: &Model<'_>, index: usize) -> Vec<f32> {
    let image: Vec<f32> = (0..model.input_shape().elements()).map(|i| (i % 7) as f32 - 3.0).collect();
    let mut session = Session::new(model, Options::new(1)).unwrap();
    session.run(&image).unwrap();
    session.output(index).to_vec()
}

#[test]
fn a_cut_model_has_what_its_output_depends_on() {
    let model = classifier();
    let base = model.truncate_at("sum").unwrap();
    let names: Vec<_> = base.nodes().iter().map(|node| node.name()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(!names.contains(&"side") && !names.contains(&"head"));
    assert_eq!(base.parameter_count(), (9 * 2 + 1) * 4 + (9 * 4 + 1) * 4);
    assert_eq!(outputs(&base, 0), outputs(&model.tap(&["sum"]).unwrap(), 0));
    let Err(Error::UnknownLayer { .. }) = model.truncate_at("sun").map(|_| ()) else {
        panic!("no such layer")
    };
}

#[test]
fn a_head_is_built_on_a_base_that_keeps_its_weights() {
    let mut base = classifier().truncate_at("sum").unwrap();
    base.set_all_trainable(false);
    base.set_trainable("stem_", true).unwrap_err();
    base.set_trainable("again", true).unwrap();
    base.set_weight_trainable("again", "bias", false).unwrap();
    let net = GraphBuilder::new();
    let features = net.input([8, 8, 2]).model(&base);
    let model = net.build(&[features, features.flatten().dense(2)], 5).unwrap();
    assert_eq!(outputs(&model, 0), outputs(&base, 0));
    for node in base.nodes() {
        let copy = model.node(node.name()).unwrap();
        assert_eq!(copy.is_trainable(), node.is_trainable(), "{}", node.name());
        for (copy, weights) in model.parameters_of(copy).iter().zip(base.parameters_of(node)) {
            assert_eq!(copy.is_trainable(), weights.is_trainable());
        }
    }
    assert_eq!(model.parameter_count(), base.parameter_count() + 8 * 8 * 4 * 2 + 2);
    // A base of convolutions takes other sizes, and a classifier does not.
    let model = Sequential::new([12, 9, 2]).model(&base).global_average_pool2d().dense(2).build(1).unwrap();
    assert_eq!(model.node("sum").unwrap().output_shape(), Shape::new(&[12, 9, 4]).unwrap());
    let dense = Sequential::new([4]).dense(3).build(1).unwrap();
    let error = Sequential::new([5]).model(&dense).build(1).unwrap_err();
    assert_eq!(error.to_string(), "layer \"dense\": weights of the model: expected [5, 3], got [4, 3]");
    let error = Sequential::new([8, 8, 2]).model(&classifier()).build(1).unwrap_err();
    assert_eq!(error.to_string(), "outputs of the model: expected 1 elements, got 2");
}

#[test]
fn what_comes_behind_a_layer_is_unfrozen_with_what_shares_its_weights() {
    let mut model = classifier();
    model.unfreeze_from("sum").unwrap();
    let trainable = |model: &Model<'_>, name| model.node(name).unwrap().is_trainable();
    assert!(trainable(&model, "head") && !trainable(&model, "stem") && !trainable(&model, "again"));
    let shared = model.nodes().iter().map(|node| node.name().to_string()).nth(4).unwrap();
    model.unfreeze_from(&shared).unwrap();
    assert!(trainable(&model, "again") && !trainable(&model, "stem"));
}
