//! Redis commands composed into one reused buffer, in the Redis serialisation protocol
//! (RESP, as of <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

/// Commands that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Commands {
    bytes: Vec<u8>,
    /// For each command, how many single writes its acknowledgement stands for.
    weights: Vec<u32>,
}

impl Commands {
    /// Begins a command of `args` arguments, its name included, which counts as `weight` writes.
    pub(super) fn begin(&mut self, args: usize, weight: usize) {
        self.bytes.push(b'*');
        push_number(&mut self.bytes, args);
        self.weights.push(u32::try_from(weight).unwrap_or(u32::MAX));
    }

    /// Appends one argument of the command begun last.
    pub(super) fn arg(&mut self, arg: &[u8]) {
        push_arg(&mut self.bytes, arg);
    }

    /// Appends arguments that were encoded by [`push_arg`].
    pub(super) fn encoded_args(&mut self, args: &[u8]) {
        self.bytes.extend_from_slice(args);
    }

    /// Appends a whole command.
    pub(super) fn command(&mut self, args: &[&[u8]], weight: usize) {
        self.begin(args.len(), weight);
        for arg in args {
            self.arg(arg);
        }
    }

    /// What is to be sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many commands there are.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// How many writes the acknowledgement of command `index` stands for.
    pub(super) fn weight(&self, index: usize) -> u64 {
        self.weights.get(index).copied().map_or(0, u64::from)
    }

    /// Forgets the commands and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.weights.clear();
    }

    /// The first arguments of command `index`, at most `args` of them, for an error message.
    pub(super) fn arguments(&self, index: usize, args: usize) -> Vec<String> {
        let mut rest = self.bytes.as_slice();
        for at in 0..=index {
            let Some((count, after)) = take_number(rest, b'*') else {
                break;
            };
            rest = after;
            let mut found = Vec::new();
            for arg in 0..count {
                let Some((len, after)) = take_number(rest, b'$') else {
                    return found;
                };
                let Some(text) = after.get(..len) else {
                    return found;
                };
                rest = after.get(len + 2..).unwrap_or(&[]);
                if at == index && arg < args {
                    found.push(String::from_utf8_lossy(text).into_owned());
                }
            }
            if at == index {
                return found;
            }
        }
        Vec::new()
    }
}

/// Encodes one argument.
pub(super) fn push_arg(out: &mut Vec<u8>, arg: &[u8]) {
    out.push(b'$');
    push_number(out, arg.len());
    out.extend_from_slice(arg);
    out.extend_from_slice(b"\r\n");
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

fn take_number(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let bytes = bytes.strip_prefix(&[kind])?;
    let end = bytes.iter().position(|b| *b == b'\r')?;
    let number = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
    Some((number, bytes.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_encoded_and_can_be_found_again() {
        let mut commands = Commands::default();
        commands.command(&[b"SET", b"k", b"a\r\nb", b"PX", b"1000"], 1);
        commands.command(&[b"DEL", "kü".as_bytes()], 2);
        assert!(
            commands
                .bytes()
                .starts_with(b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n")
        );
        assert_eq!(commands.arguments(0, 2), ["SET", "k"]);
        assert_eq!(commands.arguments(1, 9), ["DEL", "kü"]);
        assert_eq!(commands.arguments(2, 9), Vec::<String>::new());
        assert_eq!((commands.len(), commands.weight(1)), (2, 2));
        commands.clear();
        assert_eq!((commands.len(), commands.bytes().len()), (0, 0));
    }

    #[test]
    fn numbers_of_every_length() {
        for number in [0, 7, 10, 99, 100, 12_345, usize::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, format!("{number}\r\n").into_bytes());
        }
    }
}
