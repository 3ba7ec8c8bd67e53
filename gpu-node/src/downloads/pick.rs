//! The choice of a repository's file.

use bytesize::ByteSize;

use hearth_domain::JobErrorCode;

use super::{
    error::DownloadError,
    hub::HubFile,
    name::{FileName, RepoName},
};

/// Quantisations in the order of preference: first the common one with the best quality for its size, then similar ones.
const PREFERRED: [&str; 7] = ["Q4_K_M", "Q4_0", "Q5_K_M", "Q5_K_S", "Q5_0", "Q8_0", "Q8"];

/// Precisions of a file with which a model sees images, in the order of preference.
const PROJECTORS: [&str; 4] = ["F16", "FP16", "BF16", "Q8_0"];

/// The file to choose.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// The file of this name.
    File(&'a FileName),
    /// The file with this quantisation.
    Quantisation(&'a str),
    /// The only file, or one with a preferred quantisation.
    Usual,
}

/// Chooses the file that is `wanted`: of a split model, all its parts in order.
///
/// # Errors
/// There is no such file, or none is preferred; the error lists all files.
pub(super) fn pick(
    files: &[HubFile],
    wanted: Wanted<'_>,
    repo: &RepoName,
) -> Result<Vec<HubFile>, DownloadError> {
    let repo = repo.as_str();
    if files.is_empty() {
        let message = format!("{repo} has no .gguf files; look for a repository that ends with -GGUF");
        return Err(not_found(message));
    }
    let file = match wanted {
        Wanted::File(name) => files.iter().find(|file| file.name == *name),
        Wanted::Quantisation(name) => with_quantisation(files, name),
        Wanted::Usual => usual(files),
    };
    let file = file.ok_or_else(|| match wanted {
        Wanted::File(name) => not_found(format!("{repo} has no {}. It has:\n{}", name.as_str(), list(files))),
        Wanted::Quantisation(name) => not_found(format!(
            "{repo} has no whole file with {name}; choose one with --file NAME:\n{}",
            list(files)
        )),
        Wanted::Usual => {
            not_found(format!("{repo} has several files; choose one with --file NAME:\n{}", list(files)))
        }
    })?;
    with_parts(file, files).ok_or_else(|| {
        not_found(format!("{repo} lacks parts of {}. It has:\n{}", file.name.as_str(), list(files)))
    })
}

fn not_found(message: String) -> DownloadError {
    DownloadError::new(JobErrorCode::SourceNotFound, message)
}

/// All parts of the split model that `file` belongs to, in order; `file` alone if it is whole; none if parts are missing.
fn with_parts(file: &HubFile, files: &[HubFile]) -> Option<Vec<HubFile>> {
    let Some((stem, _, total)) = part_of(file.name.as_str()) else { return Some(vec![file.clone()]) };
    let name = |number: u32| format!("{stem}-{number:05}-of-{total:05}.gguf");
    let part = |number: u32| files.iter().find(|file| file.name.as_str() == name(number)).cloned();
    (1..=total).map(part).collect()
}

/// The stem, the number and the total of a part's name, as in `m-00001-of-00003.gguf`.
fn part_of(name: &str) -> Option<(&str, u32, u32)> {
    let stem = name.strip_suffix(".gguf")?;
    let (rest, total) = stem.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(number) || !is_number(total) {
        return None;
    }
    let (number, total) = (number.parse().ok()?, total.parse().ok()?);
    (1..=total).contains(&number).then_some((stem, number, total))
}

/// The file whose name ends with `quantisation`; of several, the one with the shortest name, since `UD-Q4_K_M` ends with
/// `Q4_K_M` too.
fn with_quantisation<'a>(files: &'a [HubFile], quantisation: &str) -> Option<&'a HubFile> {
    let wanted = quantisation.to_ascii_uppercase();
    let ends_with_it = |file: &&HubFile| {
        let name = file.name.last();
        let stem = match part_of(name) {
            Some((stem, 1, _)) => stem,
            Some(_) => return false,
            None => name.strip_suffix(".gguf").unwrap_or(name),
        };
        let stem = stem.to_ascii_uppercase();
        let before = stem.strip_suffix(wanted.as_str());
        !stem.contains("MMPROJ")
            && before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '_', '.']))
    };
    files.iter().filter(ends_with_it).min_by_key(|file| file.name.last().len())
}

fn usual(files: &[HubFile]) -> Option<&HubFile> {
    let whole = files.iter().filter(|file| is_whole_model(file.name.last())).collect::<Vec<_>>();
    if let [only] = whole[..] {
        return Some(only);
    }
    PREFERRED.into_iter().find_map(|quantisation| {
        whole.iter().copied().find(|file| has_quantisation(file.name.last(), quantisation))
    })
}

/// True for the name of a file with which a model sees images.
pub(super) fn is_projector(name: &str) -> bool {
    name.to_ascii_lowercase().contains("mmproj")
}

/// The file with which the model in `files` sees images, if the repository has one: of several the one that is the nearest, by its
/// folder, and has the usual precision.
pub(super) fn projector_of(files: &[HubFile], listed: &[HubFile]) -> Option<HubFile> {
    let model = files.first().filter(|file| !is_projector(file.name.last()))?;
    let folder =
        |file: &HubFile| file.name.as_str().rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let rank = |file: &&HubFile| {
        let precision = PROJECTORS.iter().position(|name| has_quantisation(file.name.last(), name));
        (folder(file) != folder(model), precision.unwrap_or(PROJECTORS.len()), file.size)
    };
    listed.iter().filter(|file| is_projector(file.name.last())).min_by_key(rank).cloned()
}

/// Returns whether the file is a model of its own: no image encoder, and no piece of a large model that is split.
fn is_whole_model(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.trim_end_matches(".gguf");
    let is_piece = stem.rsplit_once("-of-").is_some_and(|(rest, count)| {
        count.chars().all(|c| c.is_ascii_digit()) && rest.ends_with(|c: char| c.is_ascii_digit())
    });
    !is_projector(&name) && !is_piece
}

/// Returns whether the name contains the quantisation as a word: `Q4_0_4_8` doesn't contain `Q4_0`.
fn has_quantisation(name: &str, quantisation: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = name.split(['-', '.', ' ']).collect::<Vec<_>>();
    words.contains(&quantisation)
        // In some names an underscore precedes it: `model_Q4_K_M.gguf`.
        || words.iter().any(|word| word.ends_with(&format!("_{quantisation}")))
}

fn list(files: &[HubFile]) -> String {
    let lines = files.iter().map(|file| format!("  {}  {}", file.name.as_str(), ByteSize(file.size)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(names: &[&str], wanted: Option<&str>) -> Result<String, String> {
        let files = names
            .iter()
            .map(|name| HubFile { name: name.parse().unwrap(), size: 1024, sha256: None })
            .collect::<Vec<_>>();
        let name = wanted.map(|name| name.parse().unwrap());
        let wanted = name.as_ref().map_or(Wanted::Usual, Wanted::File);
        pick(&files, wanted, &"a/b".parse().unwrap())
            .map(|files| files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(" "))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn usual_file_has_a_preferred_quantisation() {
        for (names, file) in [
            (&["odd.gguf"][..], "odd.gguf"),
            (&["odd.gguf", "mmproj-F16.gguf"], "odd.gguf"),
            (&["m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-Q4_0.gguf"], "m-Q4_K_M.gguf"),
            (&["m-q8_0.gguf", "m.q4_k_m.gguf"], "m.q4_k_m.gguf"),
            (&["m_Q8_0.gguf", "m_Q5_K_M.gguf"], "m_Q5_K_M.gguf"),
            (&["m-Q4_0_4_8.gguf", "m-Q8_0.gguf", "m-F16.gguf"], "m-Q8_0.gguf"),
            (&["m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf", "m-Q5_0.gguf"], "m-Q5_0.gguf"),
        ] {
            assert_eq!(picked(names, None).as_deref(), Ok(file), "{names:?}");
        }
    }

    #[test]
    fn quantisation_is_matched_at_the_end_of_a_name() {
        let names = [
            "m-UD-Q4_K_M.gguf",
            "m-Q4_K_M.gguf",
            "m-IQ4_XS.gguf",
            "q8/m_q8_0.gguf",
            "m-F16-00001-of-00002.gguf",
        ];
        let files: Vec<HubFile> = names
            .iter()
            .map(|name| HubFile { name: name.parse().unwrap(), size: 1024, sha256: None })
            .collect();
        let picked = |tag: &str| pick(&files, Wanted::Quantisation(tag), &"a/b".parse().unwrap());
        for (tag, name) in
            [("q4_k_m", "m-Q4_K_M.gguf"), ("UD-Q4_K_M", "m-UD-Q4_K_M.gguf"), ("Q8_0", "q8/m_q8_0.gguf")]
        {
            assert_eq!(picked(tag).unwrap()[0].name.as_str(), name);
        }
        // A part alone is no model.
        for tag in ["Q4_K", "Q5_0"] {
            let error = picked(tag).unwrap_err().to_string();
            assert!(error.starts_with(&format!("a/b has no whole file with {tag}")), "{error}");
        }
        let error = picked("F16").unwrap_err().to_string();
        assert!(error.starts_with("a/b lacks parts of m-F16-00001-of-00002.gguf"), "{error}");
    }

    #[test]
    fn parts_of_a_split_model_are_chosen_together() {
        let names = ["m-F16-00002-of-00002.gguf", "m-F16-00001-of-00002.gguf", "m-Q8_0.gguf"];
        let both = "m-F16-00001-of-00002.gguf m-F16-00002-of-00002.gguf";
        assert_eq!(picked(&names, Some("m-F16-00002-of-00002.gguf")).as_deref(), Ok(both));
    }

    #[test]
    fn projector_of_the_usual_precision_in_the_folder_of_the_model_is_chosen() {
        let file = |name: &str| HubFile { name: name.parse().unwrap(), size: 1024, sha256: None };
        let files = |names: &[&str]| names.iter().map(|name| file(name)).collect::<Vec<_>>();
        let chosen = |model: &str, names: &[&str]| {
            projector_of(&[file(model)], &files(names)).map(|file| file.name.as_str().to_owned())
        };
        let names = ["m-Q4_0.gguf", "mmproj-F32.gguf", "mmproj-model-f16.gguf", "q/mmproj-F16.gguf"];
        assert_eq!(chosen("m-Q4_0.gguf", &names).as_deref(), Some("mmproj-model-f16.gguf"));
        assert_eq!(chosen("q/m.gguf", &names).as_deref(), Some("q/mmproj-F16.gguf"));
        assert_eq!(chosen("mmproj-F32.gguf", &names), None);
        assert_eq!(chosen("m.gguf", &["m.gguf"]), None);
    }

    #[test]
    fn ambiguous_choice_lists_the_files() {
        let error = picked(&["m-F16.gguf", "m-Q2_K.gguf"], None).unwrap_err();
        assert!(error.contains("--file NAME:\n  m-F16.gguf  1.0 KiB\n  m-Q2_K.gguf"), "{error}");
    }

    #[test]
    fn named_file_is_chosen_or_an_error() {
        let names = ["m-F16.gguf", "mmproj-F16.gguf"];
        assert_eq!(picked(&names, Some("mmproj-F16.gguf")).as_deref(), Ok("mmproj-F16.gguf"));
        let error = picked(&names, Some("x.gguf")).unwrap_err();
        assert!(error.starts_with("a/b has no x.gguf. It has:\n  m-F16.gguf"), "{error}");
        assert!(picked(&[], None).unwrap_err().contains("has no .gguf files"));
    }
}
