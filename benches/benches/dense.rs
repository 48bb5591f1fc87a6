//! The three products of a dense layer: by the convolution kernels, which run on packed weights,
//! and by the general matrix product.

use bantam_benches::layers::Kind;
use bantam_benches::numbers;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Geometry;
use bantam_kernels::matmul::{Matrix, matmul};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn dense(c: &mut Criterion) {
    for (batch, inputs, outputs) in [(1, 576, 64), (64, 576, 64), (64, 64, 10), (64, 1024, 1024)] {
        let geometry = Geometry::dense(batch, inputs, outputs).expect("a legal shape");
        let mut group = c.benchmark_group(format!("dense/{batch}x{inputs}x{outputs}"));
        group.throughput(Throughput::Elements(geometry.multiply_adds()));
        let mut layer = Kind::Convolution(geometry).ready(Isa::detect(), None).expect("a legal shape");
        group.bench_function("forward/packed", |b| b.iter(|| layer.forward()));
        group.bench_function("grad_input/packed", |b| b.iter(|| layer.grad_input()));
        group.bench_function("grad_weights/packed", |b| b.iter(|| layer.grad_weights()));

        let [x, w, y] = [batch * inputs, inputs * outputs, batch * outputs].map(numbers);
        let x = Matrix::new(&x, batch, inputs).expect("a legal shape");
        let w = Matrix::new(&w, inputs, outputs).expect("a legal shape");
        let y = Matrix::new(&y, batch, outputs).expect("a legal shape");
        let products =
            [("forward", x, w), ("grad_input", y, w.transposed()), ("grad_weights", x.transposed(), y)];
        for (name, a, b) in products {
            let mut c = vec![0.0; a.shape()[0] * b.shape()[1]];
            group.bench_function(format!("{name}/matmul"), |bench| bench.iter(|| matmul(a, b, &mut c)));
        }
    }
}

criterion_group!(benches, dense);
criterion_main!(benches);
