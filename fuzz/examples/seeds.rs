//! Writes the seeds of the target `model_file`: small files with everything that a file can have; and copies those of importers
//! from the tests. Run it in `fuzz`.

use bantam::{Conv2d, GraphBuilder, MaxPool2d, Metadata, Model, Padding, Scaling};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::path::Path::new("seeds/model_file");
    std::fs::create_dir_all(folder)?;
    std::fs::copy("../engine/tests/golden/v1.bantam", folder.join("v1.bantam"))?;
    chain()?.save(folder.join("chain.bantam"))?;
    branches()?.save(folder.join("branches.bantam"))?;
    let folder = std::path::Path::new("seeds/import_keras");
    std::fs::create_dir_all(folder)?;
    for name in ["bfloat16.keras", "nested.keras", "keras1.h5", "base.weights.h5"] {
        std::fs::copy(format!("../tools/tests/golden/keras/{name}"), folder.join(name))?;
    }
    let folder = std::path::Path::new("seeds/import_safetensors");
    std::fs::create_dir_all(folder)?;
    std::fs::copy("../tools/tests/golden/torch/series.safetensors", folder.join("series.safetensors"))?;
    std::fs::write(folder.join("map.json"), r#"{"body.{n}": "body.{n-1}", "*/bias": null, "*": "model.*"}"#)?;
    Ok(())
}

fn chain() -> Result<Model<'static>, bantam::Error> {
    let padding = Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 };
    bantam::Sequential::new([5, 6, 2])
        .conv2d_with(2, [3, 2], Conv2d::padded(padding).stride(2).no_bias())
        .relu6()
        .max_pool2d_with(MaxPool2d::new(2).stride(1).padding(Padding::Same))
        .leaky_relu(0.25)
        .dropout(0.25)
        .flatten()
        .dense(3)
        .softmax()
        .build(1)
}

fn branches() -> Result<Model<'static>, bantam::Error> {
    let net = GraphBuilder::new();
    let (a, b) = (net.input([4, 4, 1]), net.input([4, 4, 1]));
    let left = a.conv2d_with(2, [3, 3], Conv2d::same()).named("stem");
    let right = b.reuse_layer_of(left).tanh();
    let sum = net.add(&[left, right]);
    let both = net.concatenate(&[sum, net.multiply(left, right)]);
    let mut model = net.build(&[both.flatten().dense(2), sum, a], 1)?;
    model.set_trainable("stem", false)?;
    model.set_metadata(&Metadata {
        class_names: vec!["cat".into(), "dog".into()],
        scaling: vec![Scaling { scale: 0.5, offset: -1.0 }],
        notes: vec![("license".into(), "CC0".into())],
        ..Metadata::default()
    })?;
    Ok(model)
}
