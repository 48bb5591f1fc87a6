//! Convolutions without Winograd's algorithm, for who asks.

use bantam::{
    Conv2d, Error, Isa, Loss, Mode, Model, Options, Sequential, Session, Sgd, Tape, Trainer, TrainingSession,
};
use bantam_kernels::conv2d::{self, Activation, Geometry, Padding};

const INPUT: [usize; 3] = [30, 29, 32];

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn run(model: &Model<'_>, options: Options, image: &[f32]) -> Vec<u32> {
    bits(Session::new(model, options).unwrap().run(image).unwrap())
}

#[test]
fn the_direct_kernel_runs() {
    let net = |how| Sequential::new(INPUT).conv2d_with(24, [3, 3], how).build(5).unwrap();
    let (chosen, asked) = (net(Conv2d::same()), net(Conv2d::same().direct_only()));
    let image: Vec<f32> =
        (0..INPUT.iter().product()).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
    let [kernel, bias] = [0, 1].map(|i| chosen.parameters()[i].values());
    let [h, w, c] = INPUT;
    let geometry = Geometry::new([1, h, w, c], [3, 3], 24, [1, 1], Padding::Same).unwrap();
    for isa in Isa::available() {
        let mut packed = vec![0.0; conv2d::packed_len(isa, &geometry)];
        conv2d::pack(isa, &geometry, kernel, &mut packed).unwrap();
        let mut output = vec![0.0; h * w * 24];
        conv2d::forward(isa, &geometry, &image, &packed, Some(bias), Activation::None, &mut output).unwrap();
        let options = Options::new(1).isa(isa);
        assert_eq!(run(&asked, options, &image), bits(&output), "{isa}");
        assert_eq!(run(&chosen, options.direct_only(), &image), bits(&output), "{isa}");
        assert_ne!(
            run(&chosen, options, &image),
            bits(&output),
            "{isa}: Winograd's algorithm is faster here"
        );
    }
}

/// Where sums overflow in Winograd's tiles alone, the error names what computes them.
#[test]
fn an_overflow_names_the_way_out() {
    let net = Sequential::new(INPUT)
        .conv2d_with(24, [3, 3], Conv2d::same().relu())
        .max_pool2d(2)
        .flatten()
        .dense(2);
    let model = net.build(5).unwrap();
    let [_, width, channels] = INPUT;
    let sign = |i: usize| {
        let [x, y] = [i / channels % width, i / (channels * width)];
        if (x / 2 + y / 2).is_multiple_of(2) { 1.0 } else { -1.0 }
    };
    let image: Vec<f32> = (0..INPUT.iter().product()).map(|i| 3e37 * sign(i)).collect();
    for isa in Isa::available() {
        let refused = |result: Result<(), Error>| {
            let text = result.unwrap_err().to_string();
            let said =
                "Winograd: expected finite sums, got an overflow or a NaN; direct_only has a larger range";
            assert!(text.ends_with(said), "{isa}: {text}");
        };
        let finite = |numbers: &[f32]| numbers.iter().all(|x| x.is_finite());
        let options = Options::new(1).isa(isa);
        let run = |options| {
            let mut session = Session::new(&model, options).unwrap();
            session.run(&image).map(|output| assert!(finite(output), "{isa}"))
        };
        let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(1).isa(isa);
        let train = |trainer: Trainer| {
            let mut session = TrainingSession::new(&trainer, &model).unwrap();
            session.step(&image, &[1.0]).map(|_| ())
        };
        run(options.direct_only()).unwrap();
        refused(run(options));
        train(trainer.clone().direct_only()).unwrap();
        refused(train(trainer));
        let mut tape = Tape::new(isa);
        let input = tape.input(model.input_shape().with_batch(1).unwrap(), &image).unwrap();
        refused(model.record(&mut tape, input, Mode::Inference, &mut Vec::new()).map(|_| ()));
    }
}
