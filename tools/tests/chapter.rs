//! The listings of `docs/keras-chapter.md`, which are parts of this file, word by word: so all of them compile, with the imports
//! that the page says, one below the other. Those that take a moment run.
#![expect(dead_code, reason = "what takes longer, or needs a folder of one's own, is compiled alone")]

use bantam::Model;

use bantam::explain::{Ascent, GradCam, resized};
use bantam::{Augmentation, Conv2d, Dataset, Features, Fill, Isa, Loss, MaxPool2d, Options};
use bantam::{Padding, RmsProp, Sequential, Session, Trainer};
use bantam_tools::Failure;
use bantam_tools::images::{ClassMode, ImageFolder, ImageLoader};
use bantam_tools::import::keras::{Which, load_weights};
use bantam_tools::pictures::curves::Curves;
use bantam_tools::pictures::sheet::{self, Sheet};
use bantam_tools::pictures::{self, Chart, heat_map};
use bantam_tools::steps::Steps;
use bantam_zoo::vgg16;
use mnist::data::{Part, Pictures};
use std::ops::ControlFlow;
use std::path::Path;

#[expect(unused_mut, reason = "the next listing trains it")]
fn small_net() -> Result<Model<'static>, Failure> {
    let net = Sequential::new([28, 28, 1]);
    let net = net.conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu();
    let net = net.flatten().dense(64).relu().dense(10).softmax();
    let mut model = net.build(1)?; // weights are drawn from seed 1
    println!("{}", model.summary());
    Ok(model)
}

fn learning_digits(mut model: Model<'static>) -> Result<(), Failure> {
    let train = Pictures::load(Path::new("examples/mnist/data"), Part::Train)?;
    let test = Pictures::load(Path::new("examples/mnist/data"), Part::Test)?;

    let trainer = Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy);
    let mut trainer = trainer.epochs(5).batch_size(64);
    trainer.fit(&mut model, &train, None, &mut |_| ControlFlow::Continue(()))?;
    println!("{:?}", trainer.evaluate(&model, &test)?);
    Ok(())
}

fn padding_and_strides() -> Result<Model<'static>, Failure> {
    let net = Sequential::new([28, 28, 1]);
    let net = net.conv2d_with(32, [3, 3], Conv2d::same()).relu();
    let net = net.conv2d_with(64, [3, 3], Conv2d::valid().stride(2)).relu();
    let net = net.max_pool2d_with(MaxPool2d::new(3).stride(2).padding(Padding::Same));
    let model = net.flatten().dense(10).softmax().build(1)?;
    Ok(model)
}

#[expect(unused_mut, reason = "a listing that follows trains it")]
fn net_for_photographs() -> Result<Model<'static>, Failure> {
    let net = Sequential::new([150, 150, 3]);
    let net = net.conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2);
    let net = net.conv2d(128, 3).relu().max_pool2d(2);
    let net = net.conv2d(128, 3).relu().max_pool2d(2);
    let mut model = net.flatten().dense(512).relu().dense(1).sigmoid().build(1)?;
    Ok(model)
}

fn dropout() -> Result<Model<'static>, Failure> {
    let net = Sequential::new([150, 150, 3]);
    let net = net.conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2);
    let net = net.conv2d(128, 3).relu().max_pool2d(2);
    let net = net.conv2d(128, 3).relu().max_pool2d(2).flatten();
    let model = net.dropout(0.5).dense(512).relu().dense(1).sigmoid().build(1)?;
    Ok(model)
}

/// From the folders on, the listings are one program.
fn photographs(mut model: Model<'static>) -> Result<(), Failure> {
    let images = |folder| {
        let images = ImageFolder::new(folder).target_size(150, 150);
        images.class_mode(ClassMode::Binary).rescale(1.0 / 255.0)
    };
    let train = images("cats_and_dogs/train").open()?;
    let validation = images("cats_and_dogs/validation").open()?;
    println!("{}: {}", train.len(), train.class_names().join(", "));

    let optimizer = RmsProp { rate: 1e-4, ..RmsProp::default() };
    let trainer = Trainer::new(optimizer, Loss::BinaryCrossEntropy);
    let mut trainer = trainer.epochs(30).batch_size(20);
    let steps = Steps::new(&train, 100 * 20);
    let validation_steps = Steps::new(&validation, 50 * 20);
    let history =
        trainer.fit(&mut model, &steps, Some(&validation_steps), &mut |_| ControlFlow::Continue(()))?;
    model.save("cats_and_dogs_small_1.bantam")?;

    Curves::new(&history.epochs).save("curves.svg")?;

    let augmentation = Augmentation::image_data_generator()
        .rotation(20.0)
        .width_shift(0.1)
        .height_shift(0.1)
        .shear(0.1)
        .zoom(0.1)
        .horizontal_flip()
        .fill(Fill::Nearest);
    let augmented = images("cats_and_dogs/train").augment(augmentation).open()?;

    let mut base = vgg16().include_top(false).input([150, 150, 3]).build(1)?;
    let weights = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"; // Keras puts it into ~/.keras/models
    load_weights(&mut base, weights, Which::All)?;
    base.set_all_trainable(false);
    println!("{}", base.summary());

    let features = |images| {
        let features = Features::new(&base, images, Options::new(20))?;
        features.collect(&mut |done| print!("\r{done} images"))
    };
    let (given, given_to_validate) = (features(&train)?, features(&validation)?);

    let net = Sequential::new(base.output_shape().dims()).flatten();
    let mut head = net.dense(256).relu().dropout(0.5).dense(1).sigmoid().build(1)?;
    let optimizer = RmsProp { rate: 2e-5, ..RmsProp::default() };
    let trainer = Trainer::new(optimizer, Loss::BinaryCrossEntropy);
    let mut trainer = trainer.epochs(30).batch_size(20);
    trainer.fit(&mut head, &given, Some(&given_to_validate), &mut |_| ControlFlow::Continue(()))?;

    let net = Sequential::new([150, 150, 3]).model(&base).flatten();
    let mut model = net.dense(256).relu().dense(1).sigmoid().build(1)?;
    println!("{}", model.summary()); // says how many parameters are trainable

    let optimizer = RmsProp { rate: 2e-5, ..RmsProp::default() };
    let trainer = Trainer::new(optimizer, Loss::BinaryCrossEntropy);
    let mut trainer = trainer.epochs(30).batch_size(20);
    let steps = Steps::new(&augmented, 100 * 20);
    trainer.fit(&mut model, &steps, Some(&validation), &mut |_| ControlFlow::Continue(()))?;

    model.unfreeze_from("block5_conv1")?;
    let optimizer = RmsProp { rate: 1e-5, ..RmsProp::default() };
    let trainer = Trainer::new(optimizer, Loss::BinaryCrossEntropy);
    let mut trainer = trainer.epochs(100).batch_size(20);
    trainer.fit(&mut model, &steps, Some(&validation), &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

fn looking_inside() -> Result<(), Failure> {
    let model = Model::load("cats_and_dogs_small_1.bantam")?;
    let loader = ImageLoader::new().target_size(150, 150).rescale(1.0 / 255.0);
    let mut image = vec![0.0; model.input_shape().elements()];
    loader.load("cat.jpg", &mut image)?;

    let tapped = model.tap(&["re_lu", "max_pooling2d"])?;
    let mut session = Session::new(&tapped, Options::new(1))?;
    session.run_all(&[&image])?;
    let maps = sheet::activations(session.output(0), [148, 148, 32], 16);
    pictures::save(&maps.into_image(), "re_lu.png")?;

    let mut sheet = Sheet::new(64, 8, [150, 150]);
    for filter in 0..64 {
        let mut pattern = vec![0.0; 150 * 150 * 3];
        Ascent::noise(0.5..0.58, filter, &mut pattern);
        let ascent = Ascent::new().steps(40).rate(1.0 / 255.0);
        ascent.run(&model, "conv2d_1", filter as usize, &mut pattern)?;
        sheet.push_pattern(&pattern);
    }
    pictures::save(&sheet.into_image(), "conv2d_1.png")?;

    let mut cam = GradCam::new(&model, "re_lu_3", Options::new(1))?;
    let (_class, map) = cam.run_best(&image)?;
    let map = resized(Isa::detect(), &map, [150, 150])?;
    let levels: Vec<f32> = image.iter().map(|x| 255.0 * x).collect();
    let picture = heat_map::overlay(&levels, map.data(), [150, 150]);
    pictures::save(&picture, "heat.png")?;
    Ok(())
}

/// Every listing of the page is in this file.
#[test]
fn listings_of_the_page_are_these() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/keras-chapter.md")).unwrap();
    let dedent = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let source = dedent(include_str!("chapter.rs"));
    let listings: Vec<&str> =
        page.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(listings.len() > 10);
    for listing in listings {
        assert!(source.contains(&dedent(listing)), "{listing}");
    }
}

#[test]
fn nets_have_the_parameters_of_the_book() {
    assert_eq!(small_net().unwrap().parameter_count(), 93_322);
    assert_eq!(net_for_photographs().unwrap().parameter_count(), 3_453_121);
    assert_eq!(dropout().unwrap().parameter_count(), 3_453_121);
    assert_eq!(padding_and_strides().unwrap().output_shape().dims(), [10]);
}
