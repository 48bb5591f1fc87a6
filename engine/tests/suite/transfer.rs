//! Models that are cut, frozen in part, and built on.

use bantam::{Conv2d, Error, GraphBuilder, Metadata, Model, Options, Scaling, Sequential, Session, Shape};

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

/// Base and head, one after the other.
fn in_turn(model: &Model<'_>, name: &str) -> Vec<f32> {
    let (base, head) = model.split_at(name).unwrap();
    let mut session = Session::new(&head, Options::new(1)).unwrap();
    session.run(&outputs(&base, 0)).unwrap().to_vec()
}

/// Two residual blocks, a layer that the base and the head share, and a branch that leads nowhere.
fn residual() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([12, 12, 3]).conv2d_with(8, [3, 3], Conv2d::same()).relu().named("stem");
    let shared = x.conv2d_with(8, [3, 3], Conv2d::same().no_bias()).named("shared");
    let inner = shared.batch_normalization().relu().conv2d_with(8, [3, 3], Conv2d::same()).named("inner");
    let first = net.add(&[x, inner]).named("first").relu().named("first_end");
    let half = first.max_pool2d(2).named("half");
    let second = net.add(&[half, half.reuse_layer_of(shared)]).named("second");
    let _nowhere = net.add(&[x, first]).named("nowhere");
    net.build(&[second.global_average_pool2d().dense(5).softmax()], 9).unwrap()
}

#[test]
fn a_residual_net_is_split_at_the_end_of_a_block() {
    let model = residual();
    let whole = outputs(&model, 0);
    for name in
        ["conv2d", "stem", "first", "first_end", "half", "second", "global_average_pooling2d", "dense"]
    {
        let (base, head) = model.split_at(name).unwrap();
        assert_eq!(base, model.truncate_at(name).unwrap());
        assert_eq!(head.input_shapes(), [base.output_shape()]);
        assert!(head.nodes().iter().all(|node| base.node(node.name()).is_err()), "{name}");
        assert_eq!(in_turn(&model, name), whole, "{name}");
    }
    let (_, head) = model.split_at("first_end").unwrap();
    let names: Vec<_> = head.nodes().iter().map(|node| node.name()).collect();
    assert_eq!(names, ["half", "conv2d_1", "second", "global_average_pooling2d", "dense", "softmax"]);
    assert_eq!(head.weights("conv2d_1").unwrap(), model.weights("shared").unwrap());
    for (name, told) in [
        ("shared", "split: \"first\" reads \"stem\" past it: split at the end of a block"),
        ("inner", "split: \"first\" reads \"stem\" past it: split at the end of a block"),
        ("conv2d_1", "split: \"second\" reads \"half\" past it: split at the end of a block"),
        ("nowhere", "layers after the split: expected at least one, got none"),
        ("softmax", "layers after the split: expected at least one, got none"),
        ("softmx", "layer: no layer is named \"softmx\"; the nearest is \"softmax\""),
    ] {
        assert_eq!(model.split_at(name).unwrap_err().to_string(), told, "{name}");
    }
}

#[test]
fn a_split_takes_all_outputs_and_inputs_along_or_says_why_not() {
    let model = classifier();
    let told = |name: &str| model.split_at(name).unwrap_err().to_string();
    assert_eq!(told("sum"), "split: \"output\" reads \"dense\" past it: split at the end of a block");
    let net = GraphBuilder::new();
    let (x, y) = (net.input([4]), net.input([4]));
    let x = x.dense(4);
    let sum = net.add(&[x, y]).named("sum");
    let model = net.build(&[sum.dense(2), sum.softmax()], 4).unwrap();
    let error = model.split_at("dense").unwrap_err().to_string();
    assert_eq!(error, "split: \"sum\" reads \"input_1\" past it: split at the end of a block");
    let (base, head) = model.split_at("sum").unwrap();
    assert_eq!((base.input_shapes().len(), head.input_shapes().len()), (2, 1));
    assert_eq!((base.output_shapes().count(), head.output_shapes().count()), (1, 2));
    let model = net.build(&[sum, sum.softmax()], 4).unwrap();
    let error = model.split_at("sum").unwrap_err().to_string();
    assert_eq!(error, "split: \"output\" reads \"sum\" past it: split at the end of a block");
}

#[test]
fn a_split_borrows_weights_and_knows_which_metadata_holds() {
    let mut model = Sequential::new([6, 6, 3]).conv2d(4, 3).relu().flatten().dense(2).build(1).unwrap();
    let class_names = vec!["cat".into(), "dog".into()];
    let scaling = vec![Scaling { scale: 1.0 / 255.0, offset: 0.0 }; 3];
    model.set_metadata(&Metadata { class_names, scaling, ..Metadata::default() }).unwrap();
    let bytes = model.to_bytes().unwrap();
    let borrowed = Model::from_bytes(&bytes).unwrap();
    let (base, head) = borrowed.split_at("re_lu").unwrap();
    for (part, name) in [(&base, "conv2d"), (&head, "dense")] {
        let (part, whole) = (part.weights(name).unwrap(), borrowed.weights(name).unwrap());
        assert_eq!(part[0].values().as_ptr(), whole[0].values().as_ptr(), "{name}");
    }
    assert_eq!(base.metadata().unwrap(), model.metadata().unwrap());
    let of_head = head.metadata().unwrap();
    assert_eq!((of_head.class_names.len(), of_head.scaling.len()), (2, 0));
}
