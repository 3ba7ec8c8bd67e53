use super::*;

type Pieces<'a> = (Option<u32>, &'a str, &'a str, &'a str);

/// The calls of these pieces (index, id, name, arguments), as (id, name, arguments).
fn calls(pieces: &[Pieces<'_>]) -> Vec<(String, String, String)> {
    let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
    for (index, id, name, arguments) in pieces {
        let (id, name) = (Some((*id).to_owned()), Some((*name).to_owned()));
        let piece = Piece { index: *index, id, name, arguments: (*arguments).to_owned() };
        calls.add(piece, &mut events).unwrap();
    }
    calls.finish(&mut events).unwrap();
    let mut assembled: Vec<(String, String, String)> = Vec::new();
    for event in events {
        let RunEventBody::ToolCall { index, begins, arguments, .. } = event else { panic!("{event:?}") };
        if let Some(ToolCallBegin { id, name }) = begins {
            assert_eq!(index as usize, assembled.len());
            assembled.push((id, name, String::new()));
        }
        assembled[index as usize].2.push_str(&arguments);
    }
    assembled
}

fn expect(pieces: &[Pieces<'_>], expected: &[(&str, &str, &str)]) {
    let assembled = calls(pieces);
    let shown: Vec<_> = assembled.iter().map(|(id, name, args)| (&**id, &**name, &**args)).collect();
    assert_eq!(shown, expected, "{pieces:?}");
}

const TWO: [(&str, &str, &str); 2] = [("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")];

#[test]
fn two_calls_are_distinguished_by_index_id_or_name() {
    expect(&[(None, "a", "look", "{\"n\":1}"), (None, "b", "look", "{\"n\":2}")], &TWO);
    expect(&[(Some(0), "a", "look", "{\"n\":1}"), (Some(0), "b", "look", "{\"n\":2}")], &TWO);
    // Pieces by index.
    expect(
        &[
            (Some(0), "a", "look", ""),
            (Some(1), "b", "look", ""),
            (Some(0), "", "", "{\"n\":"),
            (Some(1), "", "", "{\"n\":"),
            (Some(0), "", "", "1}"),
            (Some(1), "", "", "2}"),
        ],
        &TWO,
    );
    // Pieces by id.
    expect(
        &[
            (None, "a", "look", "{\"n\""),
            (None, "b", "look", "{\"n\""),
            (None, "a", "", ":1}"),
            (None, "b", "", ":2}"),
        ],
        &TWO,
    );
    // An index that two calls have continues the later one.
    expect(
        &[(Some(0), "a", "look", "{\"n\":1}"), (Some(0), "b", "look", "{\"n\""), (Some(0), "", "", ":2}")],
        &TWO,
    );
}

#[test]
fn repeated_id_or_name_continues_its_call() {
    let one = [("a", "look", "{\"n\":1}")];
    expect(&[(None, "a", "look", "{\"n\""), (None, "a", "look", ":1}")], &one);
    expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "a", "look", ":1}")], &one);
    // An id of its own for each piece.
    expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "x", "", ":1}"), (Some(0), "y", "", "")], &one);
    expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "x", "look", ":1}")], &one);
    // The whole call again at the end.
    expect(
        &[(Some(0), "a", "look", "{\"n\":"), (Some(0), "", "", "1}"), (Some(0), "a", "look", "{\"n\":1}")],
        &one,
    );
}

#[test]
fn late_name_emits_the_buffered_arguments() {
    let one = [("a", "look", "{\"n\":1}")];
    expect(&[(Some(0), "a", "", ""), (Some(0), "", "look", "{\"n\":1}")], &one);
    expect(&[(Some(0), "a", "", "{\"n\":"), (Some(0), "a", "look", "1}")], &one);
    expect(&[(None, "a", "", "{\"n\":1}"), (None, "", "look", "")], &one);
}

#[test]
fn missing_and_repeated_ids_are_replaced_by_unique_ones() {
    let assembled = calls(&[
        (Some(0), "", "look", "{}"),
        (Some(1), "", "look", "{}"),
        (Some(2), "look", "look", "{}"),
        (Some(3), "look", "look", "{}"),
    ]);
    let mut ids: Vec<_> = assembled.iter().map(|(id, ..)| id.clone()).collect();
    assert_eq!(ids[2], "look");
    ids.extend(calls(&[(Some(0), "", "look", "{}")]).into_iter().map(|(id, ..)| id));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn calls_at_one_index_without_ids_are_distinguished_by_complete_arguments_or_names() {
    let assembled = calls(&[(Some(0), "", "look", "{\"n\":1}"), (Some(0), "", "look", "{\"n\":2}")]);
    assert_eq!((assembled.len(), &*assembled[1].2), (2, "{\"n\":2}"));
    let assembled = calls(&[(None, "", "look", "{}"), (None, "", "hear", ""), (None, "", "", "{\"n\":2}")]);
    let assembled: Vec<_> = assembled.iter().map(|(_, name, arguments)| (&**name, &**arguments)).collect();
    assert_eq!(assembled, [("look", "{}"), ("hear", "{\"n\":2}")]);
}

#[test]
fn call_without_arguments_gets_an_empty_object() {
    expect(&[(Some(0), "a", "look", ""), (Some(0), "", "", "")], &[("a", "look", "{}")]);
    expect(
        &[(Some(0), "a", "look", ""), (Some(0), "b", "look", "{\"n\":2}")],
        &[("a", "look", "{}"), ("b", "look", "{\"n\":2}")],
    );
}

#[test]
fn call_without_a_name_is_an_error_if_it_has_arguments() {
    let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
    calls.add(Piece { index: Some(3), ..Piece::default() }, &mut events).unwrap();
    calls.finish(&mut events).unwrap();
    assert!(events.is_empty());
    let piece = Piece { index: Some(3), arguments: "{".into(), ..Piece::default() };
    calls.add(piece, &mut events).unwrap();
    assert!(calls.finish(&mut events).is_err());
}

#[test]
fn too_many_calls_are_an_error() {
    let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
    let mut piece = |index| {
        let name = Some("look".to_owned());
        calls.add(Piece { index: Some(index), name, ..Piece::default() }, &mut events)
    };
    assert!((0..1024).all(|index| piece(index).is_ok()));
    assert!(piece(1024).is_err());
}
