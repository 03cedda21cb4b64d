//! Weight files that do not fit are refused with the file and tensor named.

use super::*;

fn error_of(change: impl FnOnce(&mut Tensors)) -> String {
    let dimensions = Dimensions::small();
    let mut tensors = dimensions.tensors(|| 0.5);
    change(&mut tensors);
    let manifest = dimensions.manifest(StatePolicy::Carry, None);
    open(&tensors, &manifest, ExitPolicy::Gates)
        .unwrap_err()
        .to_string()
}

#[test]
fn every_tensor_must_be_there() {
    for name in Dimensions::small().tensors(|| 0.5).keys() {
        let error = error_of(|tensors| {
            tensors.remove(name);
        });
        assert_eq!(
            error,
            format!("gates.safetensors: tensor {name}: is missing")
        );
    }
}

#[test]
fn every_tensor_must_have_its_shape() {
    for name in Dimensions::small().tensors(|| 0.5).keys() {
        let error = error_of(|tensors| {
            let (shape, values) = tensors.get_mut(name).unwrap();
            let row = values.len() / shape[0];
            shape[0] += 1;
            values.extend(vec![0.5; row]);
        });
        let start = format!("gates.safetensors: tensor {name}: has the shape ");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn every_value_must_be_finite() {
    for name in Dimensions::small().tensors(|| 0.5).keys() {
        let error = error_of(|tensors| {
            *tensors.get_mut(name).unwrap().1.last_mut().unwrap() = f32::NAN;
        });
        let want = format!("gates.safetensors: tensor {name}: holds a value that is not finite");
        assert_eq!(error, want);
    }
}

#[test]
fn an_unknown_tensor_is_refused() {
    let error = error_of(|tensors| {
        tensors.insert("exit.2.gate.mlp.0.bias".into(), (vec![1], vec![0.0]));
    });
    let start = "gates.safetensors: tensor exit.2.gate.mlp.0.bias: is not one";
    assert!(error.starts_with(start), "{error}");
}

fn error_of_bytes(bytes: &[u8]) -> String {
    let manifest = Dimensions::small().manifest(StatePolicy::Carry, None);
    let file = Path::new("gates.safetensors");
    let gates = Gates::new(file, map_of(bytes), &manifest, ExitPolicy::Gates);
    gates.unwrap_err().to_string()
}

#[test]
fn another_type_than_f32_is_refused() {
    let tensors = Dimensions::small().tensors(|| 0.5);
    let views = tensors.iter().map(|(name, (shape, values))| {
        let kind = if name == "lstm.1.bias_hh" {
            Dtype::I32
        } else {
            Dtype::F32
        };
        let bytes = bytemuck::cast_slice(values);
        (name, TensorView::new(kind, shape.clone(), bytes).unwrap())
    });
    let error = error_of_bytes(&safetensors::serialize(views, None).unwrap());
    assert_eq!(
        error,
        "gates.safetensors: tensor lstm.1.bias_hh: is I32, expected F32"
    );
}

#[test]
fn a_file_whose_values_are_not_aligned_is_refused() {
    let bytes = serialized(&Dimensions::small().tensors(|| 0.5));
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let split = 8 + usize::try_from(header).unwrap();
    let shifted = [
        &(header + 1).to_le_bytes(),
        &bytes[8..split],
        b" ",
        &bytes[split..],
    ]
    .concat();
    let error = error_of_bytes(&shifted);
    assert!(error.contains("cannot be read in place"), "{error}");
}

#[test]
fn a_file_cut_short_or_filled_with_anything_is_refused() {
    let bytes = serialized(&Dimensions::small().tensors(|| 0.5));
    for length in [1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = error_of_bytes(&bytes[..length]);
        assert!(
            error.contains("not a safetensors file"),
            "{length}: {error}"
        );
    }
    assert!(error_of_bytes(&[0xff; 4096]).contains("not a safetensors file"));
}
