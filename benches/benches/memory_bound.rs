//! Kernels that wait for memory: bytes read and written a second.

use bantam_benches::numbers;
use bantam_kernels::conv2d::{Activation, Padding};
use bantam_kernels::{Isa, elementwise, max_pool2d, optimizer, reduce};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn max_pool2d(c: &mut Criterion) {
    for (name, input, window, stride, pad) in [
        ("mnist", [1, 26, 26, 32], 2, 2, 0),
        ("mnist64", [64, 26, 26, 32], 2, 2, 0),
        ("resnet", [1, 112, 112, 64], 3, 2, 1),
    ] {
        let padding = Padding::Explicit { top: pad, bottom: pad, left: pad, right: pad };
        let geometry =
            max_pool2d::Geometry::new(input, [window; 2], [stride; 2], padding).expect("a legal shape");
        let [input_len, output_len] = [geometry.input(), geometry.output()].map(|s| s.iter().product());
        let (x, dy) = (numbers(input_len), numbers(output_len));
        let (mut y, mut argmax, mut dx) = (dy.clone(), vec![0; output_len], x.clone());
        let isa = Isa::detect();
        let mut group = c.benchmark_group(format!("max_pool2d/{name}"));
        group.throughput(Throughput::Bytes(4 * (input_len + output_len) as u64));
        group.bench_function("forward", |b| {
            b.iter(|| max_pool2d::forward(isa, &geometry, Activation::None, &x, &mut y))
        });
        group.bench_function("forward_argmax", |b| {
            b.iter(|| max_pool2d::forward_argmax(isa, &geometry, Activation::None, &x, &mut y, &mut argmax))
        });
        group.bench_function("grad_input", |b| {
            b.iter(|| max_pool2d::grad_input(isa, &geometry, &dy, &argmax, &mut dx))
        });
    }
}

fn streams(c: &mut Criterion) {
    const ROWS: usize = 43_264;
    const COLUMNS: usize = 32;
    let isa = Isa::detect();
    let (x, mut y, mut state) = (numbers(ROWS * COLUMNS), numbers(ROWS * COLUMNS), vec![0.0; ROWS * COLUMNS]);
    let bytes = 4 * x.len() as u64;
    let mut group = c.benchmark_group("streams");
    group.throughput(Throughput::Bytes(bytes));
    let mut sums = [0.0; COLUMNS];
    group.bench_function("sum", |b| b.iter(|| reduce::sum(isa, &x)));
    group.bench_function("sum_rows", |b| b.iter(|| reduce::sum_rows(isa, ROWS, COLUMNS, &x, &mut sums)));
    group.throughput(Throughput::Bytes(3 * bytes));
    group.bench_function("relu_grad", |b| {
        b.iter(|| elementwise::map_grad(isa, elementwise::Relu, &x, &mut y))
    });
    group.throughput(Throughput::Bytes(5 * bytes));
    group.bench_function("rmsprop", |b| {
        b.iter(|| optimizer::rmsprop(isa, 1e-3, 0.9, 1e-7, &mut y, &mut state, &x))
    });
    // Gradients of dead units: what is remembered decays to nothing.
    let zeros = vec![0.0; x.len()];
    (0..2000).for_each(|_| {
        optimizer::rmsprop(isa, 1e-3, 0.9, 1e-7, &mut y, &mut state, &zeros).expect("lengths that fit");
    });
    group.bench_function("rmsprop_decayed", |b| {
        b.iter(|| optimizer::rmsprop(isa, 1e-3, 0.9, 1e-7, &mut y, &mut state, &zeros))
    });
}

criterion_group!(benches, max_pool2d, streams);
criterion_main!(benches);
