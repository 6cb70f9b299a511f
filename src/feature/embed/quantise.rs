//! 32-bit weights as 8-bit ones, each output with a scale of its own.
//!
//! ```text
//! weight [outputs, inputs] ──> scale of an output = its largest magnitude / 127
//!                         └──> values [inputs, outputs] = round(weight / scale)
//! ```
//!
//! Symmetric and per channel, as in Jacob et al., "Quantization and Training of Neural Networks for
//! Efficient Integer-Arithmetic-Only Inference" (2018): zero stays zero, and one output with large
//! weights does not coarsen the others.

/// The largest magnitude of an 8-bit weight; -128 is left out, so that both signs are alike.
const LARGEST: f32 = 127.0;

/// The weights of a linear layer in 8 bits.
#[derive(Debug, PartialEq)]
pub(super) struct Quantised {
    /// Signed bytes, `[inputs, outputs]`: as the product with a row of inputs reads them.
    pub(super) values: Vec<u8>,
    /// What an output's values are multiplied with.
    pub(super) scales: Vec<f32>,
}

/// Quantises a matrix given as `[outputs, inputs]`.
pub(super) fn quantise(weight: &[f32], inputs: usize) -> Quantised {
    let rows: Vec<&[f32]> = weight.chunks_exact(inputs.max(1)).collect();
    let scales: Vec<f32> = rows.iter().map(|row| scale(row)).collect();
    let byte = |value: f32, scale: f32| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the quotient is between -127 and 127"
        )]
        let rounded = (value / scale).round() as i8;
        rounded.cast_unsigned()
    };
    let column = |input: usize| {
        let rows = rows.iter().zip(&scales);
        rows.filter_map(move |(row, scale)| row.get(input).map(|value| byte(*value, *scale)))
    };
    Quantised {
        values: (0..inputs).flat_map(column).collect(),
        scales,
    }
}

/// A row of zeros may have any scale but zero.
fn scale(row: &[f32]) -> f32 {
    let largest = row
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if largest > 0.0 {
        largest / LARGEST
    } else {
        1.0
    }
}

/// Whether this machine multiplies bytes without cutting sums off.
///
/// Without these instructions the runtime adds pairs of products in 16 bits, which overflow without
/// a word and would give other vectors on other machines.
pub(super) fn is_exact_here() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_has_a_scale_of_its_own_and_zero_stays_zero() {
        // Two outputs of three inputs; the second is a hundred times as large.
        let weight = [1.0, -0.5, 0.0, 100.0, 0.0, -50.0];
        let Quantised { values, scales } = quantise(&weight, 3);
        let signed: Vec<i8> = values.into_iter().map(u8::cast_signed).collect();
        assert_eq!(signed, [127, 127, -64, 0, 0, -64]);
        assert_eq!(scales, [1.0 / 127.0, 100.0 / 127.0]);
    }

    #[test]
    fn no_value_is_farther_off_than_half_a_step() {
        let weight: Vec<f32> = (0..600_u16).map(|n| (f32::from(n) * 0.37).sin()).collect();
        let Quantised { values, scales } = quantise(&weight, 100);
        for (output, row) in weight.chunks_exact(100).enumerate() {
            for (input, value) in row.iter().enumerate() {
                let back = f32::from(values[input * 6 + output].cast_signed()) * scales[output];
                assert!((back - value).abs() <= scales[output] * 0.5001);
            }
        }
    }

    #[test]
    fn an_output_of_zeros_is_no_division_by_zero() {
        assert_eq!(quantise(&[0.0; 4], 2).scales, [1.0, 1.0]);
    }
}
