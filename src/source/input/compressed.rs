//! Opens an input, whatever its compression.

use std::io::{BufRead, BufReader, Read};

use crate::source::error::SourceError;

/// Bytes read from a packed input at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// The input, unpacked: gzip, zstd, bzip2 and xz are told by their first bytes.
///
/// # Errors
/// When the input cannot be read, or its packing is damaged from the start.
pub fn open<'r>(input: impl Read + Send + 'r) -> Result<Box<dyn Read + Send + 'r>, SourceError> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, input);
    let start = reader.fill_buf()?;
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(reader)?),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(reader))
        }
        _ => Box::new(reader),
    })
}
