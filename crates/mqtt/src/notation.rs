//! A way to write packets in tests: bytes one can read, with the lengths left
//! to be computed.
//!
//! - `10 0f`, `100f`: bytes in hexadecimal
//! - `'pump-7'`: text with its two length bytes before it
//! - `"pump-7"`: the bytes of the text alone
//! - `| …`: all that follows, with its Remaining Length before it
//! - `[…]`: what is inside, with its property length before it

/// The bytes that `text` stands for.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            ' ' | '\n' => after,
            '|' => {
                let body = bytes(after);
                out.extend(length(body.len()));
                out.extend(body);
                ""
            }
            '[' => {
                let (inside, after) = after.split_once(']').unwrap();
                let block = bytes(inside);
                out.extend(length(block.len()));
                out.extend(block);
                after
            }
            '\'' => {
                let (inside, after) = after.split_once('\'').unwrap();
                out.extend(u16::try_from(inside.len()).unwrap().to_be_bytes());
                out.extend(inside.as_bytes());
                after
            }
            '"' => {
                let (inside, after) = after.split_once('"').unwrap();
                out.extend(inside.as_bytes());
                after
            }
            _ => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                &rest[2..]
            }
        };
    }
    out
}

fn length(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(number % 128).unwrap();
        number /= 128;
        if number == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}
