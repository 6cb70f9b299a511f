//! Small bodies that unpack to a lot.

/// 64 MiB of blanks, as brotli has them.
const BROTLI: &str = "cbffff3ff82540e2b14020f7fe8fffff7ff04b00c4611180eefd1fffffffe0970088c30200ddfb3ffeffffc12f0110870500\
    baf77ffcffff835f02200e0b0074effff8ffff07bf04401c1600e8defff1ffff0f7e0980382c00d0bdffe3ffff1ffc120071\
    5800a07bff37";

/// 64 MiB of blanks, as brotli has them.
pub(crate) fn brotli() -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(BROTLI.get(2 * at..2 * at + 2)?, 16).ok();
    (0..BROTLI.len() / 2).filter_map(byte).collect()
}

/// Blanks as zstd has them: blocks of 128 KiB that say one byte and how often.
pub(crate) fn zstd(blocks: u32) -> Vec<u8> {
    const BLOCK_BYTES: u32 = 128 << 10;
    // Magic number; a window of 128 KiB, neither size nor checksum.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    for at in 1..=blocks {
        let header = u32::from(at == blocks) | (1 << 1) | (BLOCK_BYTES << 3);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}
