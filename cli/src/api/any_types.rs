//! Corrects the types of described references in the document's text.
//!
//! utoipa writes a field of a described enum as `allOf` of the enum and of an object with the description, and nothing is both a text
//! and an object. The text is changed, since a parsed document would lose the order of its keys.

const OBJECT: &str = "\"type\": \"object\",";

/// Leaves the type out of those members of an `allOf` that only describe it.
pub(super) fn relax(document: &str) -> String {
    let lines: Vec<&str> = document.lines().collect();
    // The keys of the lists that are open, by their indentation.
    let mut lists: Vec<(usize, &str)> = Vec::new();
    let mut text = String::with_capacity(document.len());
    for (number, line) in lines.iter().enumerate() {
        let content = line.trim_start();
        let indentation = line.len() - content.len();
        if content.ends_with('[') {
            lists.push((indentation, content));
        } else if content.starts_with(']') {
            lists.pop();
        }
        let before =
            number.checked_sub(1).and_then(|before| lines.get(before)).map_or("", |line| line.trim());
        let is_member = before == "{"
            && lists
                .last()
                .is_some_and(|(list, key)| *list + 4 == indentation && key.starts_with("\"allOf\""));
        let only_describes =
            lines.get(number + 1).is_some_and(|next| next.trim_start().starts_with("\"description\":"))
                && lines.get(number + 2).is_some_and(|end| end.trim_start().starts_with('}'));
        if content == OBJECT && is_member && only_describes {
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    if !document.ends_with('\n') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_that_only_describes_has_no_type() {
        let document = r#"{
  "a": {
    "allOf": [
      {
        "type": "string",
        "enum": [
          "x"
        ]
      },
      {
        "type": "object",
        "description": "d"
      }
    ]
  },
  "b": {
    "oneOf": [
      {
        "type": "object",
        "description": "d"
      }
    ]
  },
  "c": {
    "type": "object",
    "description": "d"
  }
}"#;
        let described = "      {\n        \"type\": \"object\",\n        \"description\": \"d\"\n      }";
        let relaxed = "      {\n        \"description\": \"d\"\n      }";
        assert_eq!(relax(document), document.replacen(described, relaxed, 1));
    }
}
