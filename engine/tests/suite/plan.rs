//! What a plan says is what a session uses, and where it is not given it is refused.

use crate::common::enlarged;
use bantam::{
    Buffer, Concatenate, Conv2d, DepthwiseConv2d, Error, GraphBuilder, Isa, Loss, MaxPool2d, Model, Options,
    Padding, Plan, RmsProp, SeparableConv2d, Sequential, Session, Trainer, TrainingPlan,
};
use std::time::{Duration, Instant};

fn digits() -> Model<'static> {
    let net = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2);
    let net = net.conv2d(64, 3).relu().max_pool2d(2).conv2d(64, 3).relu();
    net.flatten().dropout(0.5).dense(64).relu().dense(10).softmax().build(1).unwrap()
}

/// Nets whose steps lie at either end of the arena, overwrite their inputs or cannot, and none at all.
fn nets() -> Vec<Model<'static>> {
    let net = |input: [usize; 3]| Sequential::new(input);
    vec![
        digits(),
        net([9, 11, 5]).relu().conv2d_with(7, [3, 3], Conv2d::same()).max_pool2d(2).build(2).unwrap(),
        // A pool that makes the map no smaller; one whose stripes would overtake their input.
        net([12, 12, 4])
            .conv2d_with(6, [3, 3], Conv2d::same())
            .relu()
            .max_pool2d_with(MaxPool2d::new(2).stride(1))
            .conv2d_with(40, [1, 1], Conv2d::valid())
            .max_pool2d(2)
            .flatten()
            .relu()
            .dense(3)
            .build(3)
            .unwrap(),
        Sequential::new([5]).dropout(0.5).build(4).unwrap(),
        net([4, 4, 2]).flatten().relu().build(5).unwrap(),
        net([90, 70, 16]).conv2d_with(32, [3, 3], Conv2d::same()).relu().max_pool2d(2).build(6).unwrap(),
        residual(),
        squeeze_excite(),
        dense_block(),
        dense_net(),
        inception(),
        long_way_round(),
        large_dense(),
        enlarged(),
    ]
}

/// Two blocks whose input is added to what they make of it.
fn residual() -> Model<'static> {
    let net = GraphBuilder::new();
    let mut x = net.input([10, 9, 3]).conv2d_with(8, [3, 3], Conv2d::same()).relu();
    for _ in 0..2 {
        let y = x.conv2d_with(8, [3, 3], Conv2d::same()).relu().conv2d_with(8, [3, 3], Conv2d::same());
        x = net.add(&[y, x]).relu();
    }
    net.build(&[x.max_pool2d(2).flatten().dense(4)], 7).unwrap()
}

/// Channels are weighed by what is in them.
fn squeeze_excite() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([6, 6, 3]).conv2d_with(8, [3, 3], Conv2d::same()).hard_swish();
    let factors = x.max_pool2d(6).conv2d(2, 1).relu().conv2d(8, 1).hard_sigmoid();
    net.build(&[net.multiply(factors, x).conv2d(4, 3).relu6()], 8).unwrap()
}

/// Maps beside those that they are made of.
fn dense_block() -> Model<'static> {
    let net = GraphBuilder::new();
    let mut x = net.input([7, 5, 4]);
    for _ in 0..3 {
        x = net.concatenate(&[x, x.relu().conv2d_with(3, [3, 3], Conv2d::same())]);
    }
    let y = x.zero_padding2d([[1, 0], [2, 1]]);
    net.build(&[net.add(&[y.sigmoid(), y.tanh(), y.silu()]).leaky_relu(0.1)], 9).unwrap()
}

/// As DenseNet has them: a convolution reads all maps before it, normalised, and its own is put behind them.
fn dense_net() -> Model<'static> {
    let net = GraphBuilder::new();
    let mut x = net.input([9, 8, 3]).conv2d_with(8, [3, 3], Conv2d::same()).relu();
    for _ in 0..3 {
        let y = x.batch_normalization().relu().conv2d(6, 1).relu();
        x = net.concatenate(&[x, y.conv2d_with(3, [3, 3], Conv2d::same())]);
    }
    let x = x.batch_normalization().relu().conv2d(5, 1).average_pool2d(2);
    net.build(&[x.flatten().dense(3)], 10).unwrap()
}

/// Convolutions beside each other, and one over a pool.
fn inception() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([8, 9, 2]).conv2d(6, 1).relu();
    let a = x.conv2d(5, 1).relu();
    let b = x.conv2d(3, 1).relu().conv2d_with(7, [3, 3], Conv2d::same()).relu();
    let pool = MaxPool2d::new(3).stride(1).padding(Padding::Same);
    let c = x.max_pool2d_with(pool).conv2d(2, 1).relu();
    net.build(&[net.concatenate(&[a, b, c]).conv2d(4, 1)], 11).unwrap()
}

/// A map that is used again much later.
fn long_way_round() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([8, 8, 2]).conv2d(4, 1);
    let y = x.conv2d(40, 1).relu().conv2d(40, 1).relu().conv2d(36, 1);
    net.build(&[net.concatenate(&[x, y]).conv2d(2, 1)], 12).unwrap()
}

/// Of one sample it is shared among threads by its features.
fn large_dense() -> Model<'static> {
    Sequential::new([4, 4, 260]).flatten().dense(1001).relu().dense(3).build(8).unwrap()
}

/// All kinds of steps that threads share, each with enough to do: by images, rows, features and elements.
fn shared() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([64, 64, 32]).tanh();
    let y = x.batch_normalization();
    let a = y.max_pool2d_with(MaxPool2d::new(3).stride(2).padding(Padding::Same));
    let b = net.add(&[x, y]).average_pool2d(2);
    let maps = net.concatenate(&[net.add(&[a, b]).relu(), a, b]);
    let few = maps.conv2d_with(64, [3, 3], Conv2d::same().stride(4));
    let many = few.conv2d(256, 1).relu().conv2d_with(256, [3, 3], Conv2d::same());
    net.build(&[many.conv2d_with(256, [3, 3], Conv2d::same().direct_only()), maps], 13).unwrap()
}

#[test]
fn threads_share_all_kinds_of_steps_to_the_bit() {
    let model = shared();
    for isa in Isa::available() {
        for batch in [1, 3] {
            let input = numbers(batch * model.input_shape().elements());
            let run = |threads| {
                let mut session =
                    Session::new(&model, Options::new(batch).isa(isa).threads(threads)).unwrap();
                session.run(&input).unwrap();
                [0, 1].map(|i| session.output(i).to_vec())
            };
            let want = run(1);
            for threads in [2, 3, 4] {
                // From outside of a pool, whose threads may be others, and inside of one.
                assert!(run(threads) == want, "{isa}: {threads} threads, {batch} images");
                assert!(on_threads(threads, || run(threads)) == want, "{isa}: {threads} threads in a pool");
            }
        }
    }
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// The tape keeps every value for itself.
fn recorded(model: &Model<'_>, isa: Isa, batch: usize, input: &[f32]) -> Vec<f32> {
    let mut tape = bantam::Tape::new(isa);
    let x = tape.input(model.input_shape().with_batch(batch).unwrap(), input).unwrap();
    let y = model.record(&mut tape, x, bantam::Mode::Inference, &mut Vec::new()).unwrap();
    if model.nodes().len() == 1 { input.to_vec() } else { tape.value(y).unwrap().to_vec() }
}

const PAINT: f32 = f32::from_bits(0x7fc0_beef);

#[test]
fn the_arena_is_used_to_its_end_and_no_further() {
    for model in nets() {
        for isa in Isa::available() {
            for (threads, batch) in [(1, 1), (1, 3), (2, 1), (3, 5)] {
                on_threads(threads, || {
                    let options = Options::new(batch).isa(isa).threads(threads);
                    let plan = Plan::new(&model, options).unwrap();
                    let len = plan.arena_len();
                    assert_eq!(plan.peak_bytes(), 4 * len);
                    let mut arena = Buffer::new(len + 64);
                    arena.fill(PAINT);
                    let input = numbers(batch * model.input_shape().elements());
                    let mut session = Session::with_arena(&model, options, &mut arena).unwrap();
                    let output = session.run(&input).unwrap().to_vec();
                    assert!(output == recorded(&model, isa, batch, &input), "{isa}: {plan}");
                    let painted = |range: &[f32]| range.iter().all(|x| x.to_bits() == PAINT.to_bits());
                    assert!(painted(&arena[len..]), "{isa}: {plan}");
                    // Winograd's transforms leave gaps; else the last line is there for a number in it.
                    let used = arena.iter().rposition(|x| x.to_bits() != PAINT.to_bits()).unwrap() + 1;
                    assert!(isa != Isa::SCALAR || threads > 1 || used > len - 16, "{used} of {len}\n{plan}");
                });
            }
        }
    }
}

#[test]
fn large_weights_that_are_used_once_are_not_prepared() {
    let model = large_dense();
    let input = numbers(3 * model.input_shape().elements());
    for isa in Isa::available() {
        let mut several = Session::new(&model, Options::new(3).isa(isa)).unwrap();
        let want = several.run(&input).unwrap()[..3].to_vec();
        for threads in [1, 2, 3] {
            on_threads(threads, || {
                let options = Options::new(1).isa(isa).threads(threads);
                let mut session = Session::new(&model, options).unwrap();
                // At the most a copy of the biases lies there.
                let bias = model.weights("dense").unwrap()[1].values().len();
                let copied = if isa == Isa::SCALAR || !cfg!(feature = "std") {
                    0
                } else {
                    4 * bias.next_multiple_of(16)
                };
                assert_eq!(
                    session.plan().steps().next().unwrap().prepared_bytes,
                    copied,
                    "{}",
                    session.plan()
                );
                let output = session.run(&input[..model.input_shape().elements()]).unwrap();
                assert!(output == want, "{isa}, threads: {threads}");
            });
        }
        let packed: usize = several.plan().steps().map(|step| step.prepared_bytes).sum();
        assert_eq!(packed == 0, isa == Isa::SCALAR, "{isa}");
    }
}

#[test]
fn the_book_s_net_fits_into_32_kib() {
    let model = digits();
    on_threads(1, || {
        let plan = Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).unwrap();
        println!("{plan}");
        assert!(plan.peak_bytes() <= 32 * 1024, "{plan}");
        assert_eq!(plan.multiply_adds(), 676 * 9 * 32 + 100 * 9 * 32 * 64 + 9 * 9 * 64 * 64 + 576 * 64 + 640);
        let layers: Vec<_> = plan.steps().collect();
        assert_eq!(layers[0].names, ["conv2d", "re_lu", "max_pooling2d"]);
        assert_eq!(layers[0].bytes, 4 * 13 * 13 * 32);
        assert!(layers[1].in_place);
    });
}

#[test]
fn a_sum_overwrites_an_operand_that_nobody_reads_again() {
    let model = residual();
    let plan = Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).unwrap();
    let sums: Vec<_> = plan.steps().filter(|step| step.names[0].starts_with("add")).collect();
    assert_eq!(sums.len(), 2, "{plan}");
    assert!(sums[0].names == ["add", "re_lu_2"] && sums.iter().all(|sum| sum.in_place), "{plan}");
    // Of two maps, the one that is read again stays.
    let net = GraphBuilder::new();
    let x = net.input([4, 4, 2]).conv2d(3, 1);
    let sum = net.add(&[x, x.conv2d(3, 1)]);
    let model = net.build(&[net.add(&[sum, x]), x], 1).unwrap();
    let plan = Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).unwrap();
    let steps: Vec<_> = plan.steps().collect();
    assert!(steps.iter().map(|step| step.in_place).eq([false, false, true, true]), "{plan}");
    assert!(steps[3].offset == steps[1].offset && steps[1].offset != steps[0].offset, "{plan}");
}

/// Projections, identities, separable and dense layers, an operand in either place, one that is read again, and a map that
/// is concatenated after it was added to.
fn sums() -> Model<'static> {
    let net = GraphBuilder::new();
    let input = net.input([20, 19, 32]);
    let x = net.add(&[input, input.conv2d_with(32, [3, 3], Conv2d::same())]);
    let shortcut = x.conv2d(64, 1);
    let y = x.conv2d(16, 1).relu().conv2d_with(24, [3, 3], Conv2d::same()).relu().conv2d(64, 1);
    let x = net.add(&[shortcut, y]).relu();
    let y = x.conv2d_with(64, [3, 3], Conv2d::same()).relu();
    let x = net.add(&[y.conv2d_with(64, [3, 3], Conv2d::same()), x]).relu6();
    let x = net.add(&[x.separable_conv2d_with(64, [3, 3], SeparableConv2d::same()), x]);
    let again = net.add(&[x.conv2d(64, 1), x]);
    let both = net.concatenate(&[x.conv2d(16, 1), again, net.add(&[again.conv2d(64, 1), again])]);
    let flat =
        net.add(&[both.conv2d(8, 3).global_average_pool2d().dense(40), again.global_max_pool2d().dense(40)]);
    net.build(&[flat], 11).unwrap()
}

#[test]
fn sums_go_into_the_convolutions_before_them_to_the_bit() {
    let model = sums();
    for isa in Isa::available() {
        let options = Options::new(3).isa(isa);
        let plan = Plan::new(&model, options).unwrap();
        let sums = plan.steps().filter(|step| step.names.iter().any(|name| name.starts_with("add")));
        let sums: Vec<_> = sums.map(|step| (step.names.join(" + "), step.in_place)).collect();
        if ["avx2", "avx512"].contains(&isa.name()) {
            // What is read again is copied first.
            let expected = [
                ("conv2d + add", false),
                ("conv2d_4 + add_1 + re_lu_2", true),
                ("conv2d_6 + add_2 + re_lu6", true),
                ("separable_conv2d + add_3", false),
                ("conv2d_7 + add_4", false),
                ("conv2d_9 + add_5", false),
                ("dense_1 + add_6", true),
            ];
            assert!(sums.iter().map(|(name, in_place)| (&**name, *in_place)).eq(expected), "{plan}");
        }
        for (threads, samples) in [(1, 3), (2, 3), (2, 1), (7, 2)] {
            let mut session = Session::new(&model, options.threads(threads)).unwrap();
            let input = numbers(samples * 20 * 19 * 32);
            let output = on_threads(threads, || session.run(&input).unwrap().to_vec());
            assert!(output == recorded(&model, isa, samples, &input), "{isa} {threads} {samples}");
        }
    }
}

#[test]
fn a_value_is_added_to_itself() {
    let net = GraphBuilder::new();
    let x = net.input([3]);
    let y = x.relu();
    let model = net.build(&[net.add(&[x, x]), net.add(&[y, y, y]), net.multiply(y, y)], 1).unwrap();
    for isa in Isa::available() {
        let mut session = Session::new(&model, Options::new(1).isa(isa)).unwrap();
        assert_eq!(session.run(&[1.0, -2.0, 3.0]).unwrap(), [2.0, -4.0, 6.0]);
        assert_eq!(session.output(1), [3.0, 0.0, 9.0]);
        assert_eq!(session.output(2), [1.0, 0.0, 9.0]);
    }
}

#[test]
fn branches_take_no_more_than_they_must() {
    for model in [residual(), squeeze_excite(), dense_block(), dense_net(), inception(), long_way_round()] {
        let plan = Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).unwrap();
        assert_eq!(plan.peak_bytes(), plan.lower_bound_bytes(), "{plan}");
    }
}

/// What is concatenated is computed in its place, wherever that takes no more memory.
#[test]
fn concatenations_copy_no_more_than_they_must() {
    let sliced = |model: &Model<'_>, options: Options| -> Vec<String> {
        let plan = Plan::new(model, options).unwrap();
        let names = plan.steps().filter(|step| step.sliced).map(|step| step.names[0].to_string());
        names.collect()
    };
    for isa in Isa::available() {
        // Pairs of rows have no slices.
        let options = Options::new(2).isa(isa).direct_only();
        for options in [Some(options), (isa != Isa::SCALAR).then_some(Options::new(2).isa(isa))] {
            let Some(options) = options else { continue };
            let block = ["conv2d", "conv2d_2", "concatenate", "conv2d_4", "concatenate_1", "conv2d_6"];
            // The last one takes a little more memory than a copy would.
            let block = if isa == Isa::SCALAR { &block[..4] } else { &block[..] };
            assert_eq!(sliced(&dense_net(), options), block);
            assert_eq!(sliced(&inception(), options), ["conv2d_1", "conv2d_3", "conv2d_4"]);
            // The first would have the place of both from then on.
            assert_eq!(sliced(&long_way_round(), options), ["conv2d_3"]);
        }
    }
}

/// An operand is copied if it is there twice, or if something reads it that cannot skip the channels of others.
#[test]
fn concatenations_copy_what_is_read_otherwise() {
    type Make = fn(&GraphBuilder) -> bantam::Value<'_>;
    let options = Options::new(1).direct_only();
    let built = |make: Make| {
        let net = GraphBuilder::new();
        let y = make(&net);
        net.build(&[y], 1).unwrap()
    };
    let cases: [(Make, usize); 6] = [
        // Along another axis; what is computed in the outer one's place is so still.
        (
            |net| {
                let x = net.input([4, 4, 2]).conv2d(3, 1);
                let y = net.layer(Concatenate::new().axis(1), &[x, x.conv2d(3, 1)]);
                net.concatenate(&[y.conv2d(2, 1), y.conv2d(4, 1)])
            },
            2,
        ),
        // Twice.
        (
            |net| {
                let x = net.input([4, 4, 2]).conv2d(3, 1);
                net.concatenate(&[x, x])
            },
            0,
        ),
        // As numbers without pixels.
        (
            |net| {
                let x = net.input([4, 4, 2]).conv2d(3, 1);
                let y = net.concatenate(&[x, x.conv2d(3, 1)]).global_average_pool2d();
                net.concatenate(&[x.flatten(), y])
            },
            1,
        ),
        // By what cannot skip the channels of others.
        (
            |net| {
                let x = net.input([4, 4, 2]).conv2d(3, 1);
                net.concatenate(&[x, x.max_pool2d_with(MaxPool2d::new(1)).conv2d(3, 1)])
            },
            1,
        ),
        // In two concatenations.
        (
            |net| {
                let x = net.input([4, 4, 2]).conv2d(3, 1);
                let [y, z] = [x.conv2d(2, 1), x.conv2d(4, 1)];
                let [a, b] = [net.concatenate(&[y, z]), net.concatenate(&[z, y])];
                net.add(&[a.conv2d(2, 1), b.conv2d(2, 1)])
            },
            2,
        ),
        // The convolution of a map beside it: it cannot read what it writes into.
        (
            |net| {
                let x = net.input([4, 4, 2]).conv2d(3, 1);
                net.concatenate(&[x, x.conv2d(3, 1)]).conv2d(2, 1)
            },
            1,
        ),
    ];
    for (i, (make, count)) in cases.into_iter().enumerate() {
        let model = built(make);
        let plan = Plan::new(&model, options).unwrap();
        assert_eq!(plan.steps().filter(|step| step.sliced).count(), count, "{i}: {plan}");
        let input = numbers(4 * 4 * 2);
        let output = Session::new(&model, options).unwrap().run(&input).unwrap().to_vec();
        assert_eq!(output, recorded(&model, Isa::detect(), 1, &input), "{i}: {plan}");
    }
}

/// A graph of the kinds of nodes that read and write slices, and of others, drawn from a seed.
fn drawn(seed: usize) -> Model<'static> {
    let mut state = seed * 7919 + 1;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
        state / 64 % below
    };
    let net = GraphBuilder::new();
    let mut values = vec![(net.input([4, 5, 3]), 3)];
    for _ in 0..3 + next(14) {
        let (x, channels) = values[values.len() - 1 - next(values.len().min(4))];
        let features = 1 + next(6);
        values.push(match next(10) {
            0..=1 => (x.conv2d(features, 1), features),
            2 => (x.conv2d_with(features, [3, 3], Conv2d::same()).relu(), features),
            3 => (x.conv2d_with(features, [2, 1], Conv2d::same()), features),
            4 => (x.batch_normalization().relu(), channels),
            5 => (x.max_pool2d_with(MaxPool2d::new(3).stride(1).padding(Padding::Same)), channels),
            6 => (x.relu(), channels),
            _ => {
                let mut list = vec![(x, channels)];
                list.extend((0..1 + next(2)).map(|_| values[next(values.len())]));
                let channels = list.iter().map(|&(_, channels)| channels).sum();
                let list: Vec<_> = list.into_iter().map(|(value, _)| value).collect();
                (net.concatenate(&list), channels)
            }
        });
    }
    let (last, _) = values[values.len() - 1];
    net.build(&[last], seed as u64).unwrap()
}

#[test]
fn any_graph_gives_the_bits_of_a_tape() {
    let mut sliced = 0;
    for seed in 0..150 {
        let model = drawn(seed);
        for isa in Isa::available() {
            for (threads, batch) in [(1, 1), (2, 1), (3, 4)] {
                let options = Options::new(batch).isa(isa).threads(threads);
                let mut session = Session::new(&model, options).unwrap();
                sliced += session.plan().steps().filter(|step| step.sliced).count();
                for samples in [batch, 1] {
                    let input = numbers(samples * 4 * 5 * 3);
                    let output = session.run(&input).unwrap().to_vec();
                    let want = recorded(&model, isa, samples, &input);
                    assert!(output == want, "{seed}: {}", session.plan());
                }
            }
        }
    }
    // 438 with scalar code alone.
    assert!(sliced > 400, "{sliced}");
}

/// Fewer samples than the batch can be more parts than all of it are.
#[test]
fn any_number_of_samples_is_shared_among_threads() {
    let net = Sequential::new([28, 28, 64]).conv2d_with(64, [3, 3], Conv2d::same());
    let model = net.build(1).unwrap();
    let sample = 28 * 28 * 64;
    let input = numbers(10 * sample);
    for isa in Isa::available().filter(|&isa| isa != Isa::SCALAR) {
        let want = Session::new(&model, Options::new(10).isa(isa)).unwrap().run(&input).unwrap().to_vec();
        for (threads, batch) in [(3, 4), (4, 5), (8, 10)] {
            let mut session = Session::new(&model, Options::new(batch).isa(isa).threads(threads)).unwrap();
            for samples in (1..=batch).rev() {
                let output = session.run(&input[..samples * sample]).unwrap();
                assert!(
                    output == &want[..samples * sample],
                    "{isa}: {samples} of {batch}, {threads} threads"
                );
            }
        }
    }
}

/// Threads share images, rows of one, and pixels of slices too.
#[test]
fn slices_are_shared_among_threads() {
    let net = GraphBuilder::new();
    let x = net.input([48, 47, 3]).conv2d(40, 1);
    let y = net.concatenate(&[x, x.batch_normalization().conv2d_with(24, [3, 3], Conv2d::same())]);
    let z = y.batch_normalization().relu().conv2d(72, 1);
    let model = net.build(&[net.concatenate(&[y, z, y.conv2d(64, 1)])], 1).unwrap();
    for isa in Isa::available() {
        for (threads, batch) in [(1, 2), (2, 1), (3, 1), (2, 3)] {
            let options = Options::new(batch).isa(isa).threads(threads);
            let mut session = Session::new(&model, options).unwrap();
            let sliced = session.plan().steps().filter(|step| step.sliced).count();
            assert!(sliced >= 2, "{}", session.plan());
            let input = numbers(batch * 48 * 47 * 3);
            let output = session.run(&input).unwrap();
            assert!(output == recorded(&model, isa, batch, &input), "{}", session.plan());
        }
    }
}

#[test]
fn arenas_that_will_not_do_are_refused() {
    let model = digits();
    on_threads(1, || {
        let peak = Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).unwrap().peak_bytes();
        let mut arena = vec![0.0; peak / 4 - 3];
        let error = Session::with_arena(&model, Options::new(1).isa(Isa::SCALAR), &mut arena).err().unwrap();
        assert_eq!(error, Error::ArenaTooSmall { expected: peak, got: peak - 12 });
        assert!(error.to_string().ends_with("12 are missing"), "{error}");

        let mut bytes = vec![0u8; peak + 8];
        let odd = usize::from(bytes.as_ptr().addr().is_multiple_of(4));
        let error =
            Session::with_bytes(&model, Options::new(1).isa(Isa::SCALAR), &mut bytes[odd..]).err().unwrap();
        assert_eq!(error, Error::MisalignedArena { expected: 4 });
        let even = bytes.as_ptr().addr().wrapping_neg() % 4;
        let error = Session::with_bytes(&model, Options::new(1).isa(Isa::SCALAR), &mut bytes[even..even + 3])
            .err()
            .unwrap();
        assert_eq!(error, Error::ArenaTooSmall { expected: peak, got: 0 });
        let mut session =
            Session::with_bytes(&model, Options::new(1).isa(Isa::SCALAR), &mut bytes[even..]).unwrap();
        assert!(session.run(&numbers(784)).is_ok());
    });
}

/// A broken sensor is noticed, and the next sample is not spoilt.
#[test]
fn samples_that_are_not_finite_are_refused() {
    let model = digits();
    let mut session = Session::new(&model, Options::new(2)).unwrap();
    let good = numbers(2 * 784);
    let want = session.run(&good).unwrap().to_vec();
    for (index, bad) in [(0, f32::NAN), (783, f32::INFINITY), (1567, f32::NEG_INFINITY), (800, -f32::NAN)] {
        let mut images = good.clone();
        images[index] = bad;
        let error = session.run(&images).unwrap_err();
        let (sample, index) = (index / 784, index % 784);
        assert!(
            matches!(error, Error::NotFinite { what: "input", sample: of, index: at, .. } if (of, at) == (sample, index)),
            "{error}"
        );
        let told = if bad.is_nan() { "NaN" } else { "infinity" };
        assert!(error.to_string().starts_with(&format!("input of sample {sample}: ")), "{error}");
        assert!(error.to_string().ends_with(&format!("{told} at index {index}")), "{error}");
        assert!(session.run(&good).unwrap() == want);
    }
    let mut images = good;
    images[3] = 1e30;
    images[4] = -0.0;
    let mut session = Session::new(&model, Options::new(2).direct_only()).unwrap();
    assert!(session.run(&images).is_ok());
}

/// More threads need more scratch, which does not depend on how many there are: it is asked for.
#[cfg(feature = "parallel")]
#[test]
fn threads_are_an_option() {
    let model = &nets()[5];
    let input = numbers(90 * 70 * 16);
    let want = Session::new(model, Options::new(1)).unwrap().run(&input).unwrap().to_vec();
    let size = |threads| Plan::new(model, Options::new(1).threads(threads)).unwrap().peak_bytes();
    let [one, four] = [1, 4].map(size);
    assert!(one < four && on_threads(4, || size(1)) == one);
    let mut session = Session::new(model, Options::new(1).threads(4)).unwrap();
    for threads in [4, 1, 2] {
        on_threads(threads, || assert!(session.run(&input).unwrap() == want));
    }
}

/// A loop over the rows would take minutes.
#[test]
fn planning_takes_as_long_for_any_extent() {
    let (started, mut planned) = (Instant::now(), 0);
    let explicit = Padding::Explicit { top: 1, bottom: 1, left: 1, right: 1 };
    for extent in [1u64 << 26, 4_000_000_000].into_iter().filter_map(|extent| usize::try_from(extent).ok()) {
        for shape in [[extent, 1, 1], [1, extent, 1]] {
            let kernel = shape.map(|extent| extent.min(3));
            let conv = |padding| {
                let how = Conv2d::padded(padding);
                Sequential::new(shape).conv2d_with(1, [kernel[0], kernel[1]], how)
            };
            for padding in [Padding::Valid, Padding::Same, explicit] {
                let pool = MaxPool2d::new(2).stride(1).padding(padding);
                planned += plans(Sequential::new(shape).max_pool2d_with(pool));
                planned += plans(conv(padding));
                planned += plans(conv(padding).relu().max_pool2d(1).conv2d(1, 1));
                planned += plans(conv(padding).max_pool2d_with(MaxPool2d::new(1).stride(2)).relu());
                planned += plans(conv(padding).max_pool2d_with(pool));
            }
        }
    }
    let took = started.elapsed();
    assert!(planned > 50 && took < Duration::from_secs(5), "{planned} plans in {took:?}");
}

/// How many plans there are of a net.
fn plans(net: Sequential) -> usize {
    let Ok(model) = net.build(1) else { return 0 };
    let on = |threads| {
        on_threads(threads, || {
            let options = Options::new(1).threads(threads);
            let inference =
                Isa::available().filter(|&isa| Plan::new(&model, options.isa(isa)).is_ok()).count();
            let trainer =
                Trainer::new(RmsProp::default(), Loss::MeanSquaredError).batch_size(1).threads(threads);
            inference + usize::from(TrainingPlan::new(&trainer, &model).is_ok())
        })
    };
    on(1) + on(4)
}

/// Inverted residuals, whose output is added to their input or not, depthwise layers with a 1×1 convolution on one side alone,
/// with a stride, with biases and without.
fn inverted_residuals(size: usize) -> Model<'static> {
    let net = GraphBuilder::new();
    let plain = Conv2d::same().no_bias();
    let mut x = net.input([size + 1, size, 8]).conv2d_with(16, [1, 1], plain).relu6();
    x = x.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same().stride(2)).relu();
    for multiplier in [1, 2] {
        let y = x.conv2d(96, 1).relu6();
        let y = y.depthwise_conv2d_with([5, 3], DepthwiseConv2d::same().multiplier(multiplier)).relu6();
        x = net.add(&[x, y.conv2d_with(16, [1, 1], plain)]);
    }
    let y = x
        .conv2d_with(96, [1, 1], plain)
        .relu()
        .depthwise_conv2d_with([3, 3], DepthwiseConv2d::valid().no_bias());
    let y = y.relu6().conv2d(24, 1);
    let z = y.depthwise_conv2d_with([3, 3], DepthwiseConv2d::same().dilation(2)).conv2d(40, 1).relu();
    net.build(&[z.global_average_pool2d().dense(3)], 5).unwrap()
}

#[test]
fn inverted_residuals_run_by_rows_to_the_bit() {
    for (isa, size) in Isa::available().flat_map(|isa| [(isa, 17), (isa, 96)]) {
        let model = inverted_residuals(size);
        let options = Options::new(2).isa(isa);
        let plan = Plan::new(&model, options).unwrap();
        let has = |names: &[&str], kind: &str| names.iter().any(|name| name.starts_with(kind));
        let by_rows = plan.steps().filter(|step| has(&step.names, "conv2d") && has(&step.names, "depthwise"));
        // Vectors have small maps in a cache anyway.
        assert_eq!(by_rows.count(), if isa == Isa::SCALAR || size > 20 { 4 } else { 0 }, "{plan}");
        for (threads, samples) in [(1, 2), (2, 2), (2, 1), (7, 1)] {
            let mut session = Session::new(&model, options.threads(threads)).unwrap();
            let input = numbers(samples * (size + 1) * size * 8);
            let output = on_threads(threads, || session.run(&input).unwrap().to_vec());
            assert!(output == recorded(&model, isa, samples, &input), "{isa} {size} {threads} {samples}");
        }
    }
}
