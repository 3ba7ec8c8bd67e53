use tiny_flux::{Format, TinyFlux, files};

use super::*;

fn of_format(format: Format) -> T5Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    TinyFlux { is_guided: false, format }.write(folder.path()).unwrap();
    if format == Format::Safetensors {
        return T5Tokenizer::of_file(&folder.path().join(files::TOKENIZER)).unwrap();
    }
    let mut file = fs::File::open(folder.path().join(files::T5)).unwrap();
    T5Tokenizer::of_gguf(&Content::read(&mut file).unwrap()).unwrap()
}

#[test]
fn text_becomes_its_likeliest_pieces() {
    for format in [Format::Gguf, Format::Safetensors] {
        let tokenizer = of_format(format);
        let (s, unknown) = (28, 2);
        for (text, tokens) in [
            ("a fox", vec![4, 5, 1]),
            ("  a \n fox ", vec![4, 5, 1]),
            ("snow", vec![3, s, 9, 1]),
            ("the é", vec![6, 3, unknown, 1]),
            // NFKC makes them narrow.
            ("ｆｏｘ", vec![5, 1]),
            ("", vec![1]),
        ] {
            assert_eq!(tokenizer.encode(text).unwrap(), tokens, "{text:?} {format:?}");
        }
        assert_eq!(tokenizer.padded(vec![4, 1], 4), [4, 1, 0, 0]);
        assert_eq!(tokenizer.vocabulary(), 36);
    }
}

#[test]
fn damaged_tokenizer_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(files::TOKENIZER);
    fs::write(&path, b"{").unwrap();
    assert!(T5Tokenizer::of_file(&path).unwrap_err().contains("damaged"));
    let mut file = std::io::Cursor::new(Vec::new());
    candle_core::quantized::gguf_file::write(&mut file, &[], &[]).unwrap();
    let header = Content::read(&mut std::io::Cursor::new(file.into_inner())).unwrap();
    assert!(T5Tokenizer::of_gguf(&header).unwrap_err().contains("tokenizer.ggml.tokens"));
}
