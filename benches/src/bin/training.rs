//! Times training and tells its memory:
//! `cargo run --release -p bantam-benches --bin training -- --help`.

use bantam::{
    Conv2d, Error, Event, GraphBuilder, Isa, Loss, MaxPool2d, Model, Optimizer, Padding, RmsProp, Samples,
    Sequential, Sgd, Tensor, Trainer, Value,
};
use bantam_benches::{numbers, resident};
use bantam_mapped::LargePagesAllocator;
use bantam_tools::{Failure, parse};
use bantam_zoo::mobilenet;
use clap::{Parser, ValueEnum};
use serde_json::json;
use std::io::{Stdout, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

/// As the program `bantam` has it.
#[global_allocator]
static ALLOCATOR: LargePagesAllocator = LargePagesAllocator;

/// Times training on samples that are drawn at random: the fastest of some epochs.
#[derive(Parser)]
struct Options {
    /// The net
    #[arg(long)]
    net: Net,
    /// Images of a step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Steps of an epoch
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Epochs that the fastest is taken of
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    epochs: u16,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Instruction set (default: the widest of this CPU)
    #[arg(long)]
    isa: Option<String>,
    /// Bytes that training may take beside model and samples
    #[arg(long, value_name = "BYTES")]
    budget: Option<usize>,
    /// Print `{"images_per_second": …, "peak_bytes": …, "resident_bytes": …}` instead of a sentence
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Net {
    /// The ConvNet for MNIST of *Deep Learning with Python*, by RMSprop
    Mnist,
    /// ResNet-20 with batch normalisation for images of 32×32×3 (He et al., arXiv 1512.03385, section 4.2), with 1×1
    /// convolutions where shapes change, by SGD with momentum
    #[value(name = "resnet20")]
    ResNet20,
    /// ResNet-50 for images of 224×224×3 and 1,000 classes, with strides in its 3×3 convolutions, by SGD
    #[value(name = "resnet50")]
    ResNet50,
    /// The ConvNet for photographs of cats and dogs of the same book, 150×150×3, by RMSprop
    CatsDogs,
    /// MobileNet for images of 224×224×3, of which the last block and a head of 10 classes are fine-tuned and all before
    /// is frozen, by SGD with momentum
    MobilenetHead,
}

impl Net {
    fn build(self) -> Result<Model<'static>, Error> {
        match self {
            Net::Mnist => {
                let net = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2);
                let net = net.conv2d(64, 3).relu().max_pool2d(2).conv2d(64, 3).relu();
                net.flatten().dense(64).relu().dense(10).build(1)
            }
            Net::ResNet20 => resnet20(),
            Net::ResNet50 => resnet50(),
            Net::CatsDogs => {
                let mut net = Sequential::new([150, 150, 3]);
                for filters in [32, 64, 128, 128] {
                    net = net.conv2d(filters, 3).relu().max_pool2d(2);
                }
                net.flatten().dense(512).relu().dense(1).build(1)
            }
            Net::MobilenetHead => mobilenet_head(),
        }
    }

    fn optimizer(self) -> Optimizer {
        match self {
            Net::Mnist => RmsProp::default().into(),
            Net::ResNet20 => Sgd { rate: 0.1, momentum: 0.9, ..Sgd::default() }.into(),
            Net::ResNet50 => Sgd { rate: 0.001, ..Sgd::default() }.into(),
            Net::CatsDogs => RmsProp { rate: 1e-4, ..RmsProp::default() }.into(),
            Net::MobilenetHead => Sgd { rate: 1e-3, momentum: 0.9, ..Sgd::default() }.into(),
        }
    }

    fn classes(self) -> usize {
        if let Net::CatsDogs = self { 2 } else { 10 }
    }

    fn loss(self) -> Loss {
        if let Net::CatsDogs = self { Loss::BinaryCrossEntropy } else { Loss::SoftmaxCrossEntropy }
    }
}

/// A convolution without bias, padded by half its window, and the batch normalisation behind it.
fn conv(x: Value<'_>, filters: usize, kernel: usize, stride: usize) -> Value<'_> {
    let how = Conv2d::same().stride(stride).no_bias();
    x.conv2d_with(filters, [kernel, kernel], how).batch_normalization()
}

fn resnet20() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let mut x = conv(net.input([32, 32, 3]), 16, 3, 1).relu();
    for (stage, filters) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..3 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let y = conv(conv(x, filters, 3, stride).relu(), filters, 3, 1);
            let shortcut = if stride == 2 { conv(x, filters, 1, 2) } else { x };
            x = net.add(&[y, shortcut]).relu();
        }
    }
    net.build(&[x.global_average_pool2d().dense(10)], 1)
}

fn resnet50() -> Result<Model<'static>, Error> {
    let net = GraphBuilder::new();
    let pool = MaxPool2d::new(3).stride(2).padding(Padding::Same);
    let mut x = conv(net.input([224, 224, 3]), 64, 7, 2).relu().max_pool2d_with(pool);
    for (stage, (filters, blocks)) in [(64, 3), (128, 4), (256, 6), (512, 3)].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let y = conv(conv(x, filters, 1, 1).relu(), filters, 3, stride).relu();
            let y = conv(y, 4 * filters, 1, 1);
            let shortcut = if block == 0 { conv(x, 4 * filters, 1, stride) } else { x };
            x = net.add(&[y, shortcut]).relu();
        }
    }
    net.build(&[x.global_average_pool2d().dense(1000)], 1)
}

fn mobilenet_head() -> Result<Model<'static>, Error> {
    // As He et al., arXiv 1502.01852, draw them, so that numbers do not vanish behind so many layers.
    let base = mobilenet().include_top(false).build_with(&mut |_, array, shape| {
        let products = match (array, shape.dims()) {
            ("kernel", [.., inputs, _]) => shape.dims()[..2].iter().product::<usize>() * inputs,
            ("depthwise_kernel", [height, width, ..]) => height * width,
            ("gamma" | "moving_variance", _) => return Ok(vec![1.0; shape.elements()].into()),
            _ => return Ok(vec![0.0; shape.elements()].into()),
        };
        // The numbers are uniform: their variance is a third of their bound's square.
        let bound = (6.0 / products as f32).sqrt();
        Ok(numbers(shape.elements()).iter().map(|number| bound * number).collect())
    })?;
    let mut model = Sequential::new([224, 224, 3]).model(&base).global_average_pool2d().dense(10).build(1)?;
    model.unfreeze_from("conv_dw_13")?;
    Ok(model)
}

fn main() -> ExitCode {
    bantam_tools::main_of(run)
}

fn run(out: &mut Stdout) -> Result<ExitCode, Failure> {
    let options: Options = match parse()? {
        Ok(options) => options,
        Err(status) => return Ok(status),
    };
    let isa = match &options.isa {
        None => Isa::detect(),
        Some(name) => Isa::named(name).ok_or_else(|| {
            let known = Isa::available().map(Isa::name).collect::<Vec<_>>().join(", ");
            format!("--isa: expected one that this CPU has ({known}), found {name}")
        })?,
    };
    let threads = usize::from(options.threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool?.install(|| train(&options, isa, out))?;
    Ok(ExitCode::SUCCESS)
}

fn train(options: &Options, isa: Isa, out: &mut Stdout) -> Result<(), Failure> {
    let (batch, epochs) = (usize::from(options.batch), usize::from(options.epochs));
    let mut model = options.net.build()?;
    let samples = batch * usize::from(options.steps);
    let shape = model.input_shape().with_batch(samples)?;
    let labels = (0..samples).map(|i| (i * 7 % options.net.classes()) as f32).collect();
    let data = Samples::new(
        Tensor::new(shape.dims(), numbers(shape.elements()).to_vec())?,
        Tensor::new(&[samples, 1], labels)?,
    )?;
    let trainer = Trainer::new(options.net.optimizer(), options.net.loss());
    let trainer = trainer.batch_size(batch).epochs(epochs).isa(isa).threads(usize::from(options.threads));
    let mut trainer = match options.budget {
        Some(bytes) => trainer.within(bytes),
        None => trainer,
    };
    let peak = trainer.peak_bytes(&model, &data)?;
    let before = resident("VmRSS:");
    let (mut fastest, mut start) = (f64::INFINITY, Instant::now());
    trainer.fit(&mut model, &data, None, &mut |event| {
        match event {
            Event::Trained { .. } => fastest = fastest.min(start.elapsed().as_secs_f64()),
            Event::Epoch(..) => start = Instant::now(),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    let speed = samples as f64 / fastest;
    let resident = resident("VmHWM:").zip(before).map(|(most, before)| most.saturating_sub(before));
    if options.json {
        writeln!(
            out,
            "{}",
            json!({ "images_per_second": speed, "peak_bytes": peak, "resident_bytes": resident })
        )?;
    } else {
        writeln!(out, "{isa}, threads: {}: {speed:.0} images/s, {peak} bytes planned", options.threads)?;
        if let Some(resident) = resident {
            writeln!(out, "{resident} bytes more in memory than before the first step")?;
        }
    }
    Ok(())
}
