//! Tests of the files of the page.

use std::collections::HashSet;

use super::*;

/// Returns the modules that a module imports.
fn imports(code: &str) -> Vec<&str> {
    let starts = code.lines().filter(|line| line.starts_with("import "));
    starts
        .map(|line| {
            let file =
                line.rsplit_once(" from \"./").and_then(|(_, file)| file.strip_suffix("\";"));
            file.unwrap_or_else(|| panic!("an import must be on one line and relative: {line}"))
        })
        .collect()
}

/// A report has all modules in one script, in this order.
#[test]
fn the_modules_are_in_the_order_of_their_imports_and_share_no_names() {
    let mut before = HashSet::new();
    let mut names = HashSet::new();
    for (module, code) in MODULES {
        for import in imports(code) {
            assert!(before.contains(import), "{module} imports {import}");
        }
        before.insert(module);
        for line in code.lines() {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let line = line.strip_prefix("async ").unwrap_or(line);
            let rest = ["const ", "let ", "function ", "function* ", "class "]
                .into_iter()
                .find_map(|keyword| line.strip_prefix(keyword));
            let Some(rest) = rest else { continue };
            let end = |letter: char| !letter.is_alphanumeric() && letter != '_';
            let name = rest.split(end).next().unwrap();
            assert!(names.insert(name), "{module} defines {name}, as another module does");
        }
        for forbidden in
            ["innerHTML", "eval(", "await import(", "https://", "http://www.w3.org/1999"]
        {
            let is_link = forbidden == "https://" && module == "land.js";
            assert!(is_link || !code.contains(forbidden), "{module} has {forbidden}");
        }
    }
    assert!(names.len() > 60, "{names:?}");
}

#[test]
fn the_page_names_only_files_that_exist() {
    let page = Page::new(None, 1);
    let index = std::str::from_utf8(&page.index.body).unwrap();
    let mut found = 0;
    for part in index.split(['"', '\'']).filter_map(|part| part.strip_prefix("page/")) {
        assert!(page.files.iter().any(|(name, _)| *name == part), "{part}");
        found += 1;
    }
    assert_eq!(found, 3);
    assert!(!index.contains(" style=") && !index.contains(" onclick="));
    assert_eq!(index.matches("<script").count(), 2);
}

#[test]
fn the_settings_cannot_end_their_element() {
    let tiles = Tiles::new("https://tiles.example.org:8443/{z}/{x}/{y}.png?key=</script>").unwrap();
    let tiles = tiles.with_attribution("</script><script>alert(1)</script>".to_owned());
    let page = Page::new(Some(&tiles), 1);
    let index = std::str::from_utf8(&page.index.body).unwrap();
    let (_, data) = index.split_once(DATA_START).unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["tiles_attribution"], tiles.attribution);
    assert_eq!(data["tiles"], tiles.template);
    assert_ne!(page.index.tag, Page::new(None, 1).index.tag);
    let policy = page.policy.to_str().unwrap();
    assert!(policy.contains("img-src 'self' blob: https://tiles.example.org:8443;"), "{policy}");
    assert!(!Page::new(None, 1).policy.to_str().unwrap().contains("http"));
}

/// The numbers are those of docs/cli.md. The page has no others.
#[test]
fn the_page_has_the_options_of_all_presets() {
    let page = Page::new(None, 1);
    let index = std::str::from_utf8(&page.index.body).unwrap();
    let (_, data) = index.split_once(DATA_START).unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    let presets = data["presets"].as_array().unwrap();
    let names: Vec<_> = presets.iter().map(|preset| preset["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["walk", "run", "bike", "car", "boat", "flight", "phone"]);
    let numbers = |at: usize| {
        let options = &presets[at]["options"];
        ["max-speed", "max-accuracy", "stopped-speed", "min-step", "max-gap-time", "max-gap"]
            .map(|name| options[name].as_f64())
    };
    assert_eq!(numbers(0), [Some(6.0), Some(50.0), Some(0.3), None, None, None]);
    assert_eq!(numbers(6), [Some(400.0), Some(200.0), Some(0.5), None, None, None]);
}

#[test]
fn a_template_of_tiles_is_a_url_with_all_parts() {
    for template in [
        "",
        "tiles.example.org/{z}/{x}/{y}",
        "ftp://tiles.example.org/{z}/{x}/{y}",
        "https://tiles.example.org/{z}/{x}",
        "https:///{z}/{x}/{y}",
        "https://{s}.example.org/{z}/{x}/{y}",
        "https://tiles.example.org; script-src */{z}/{x}/{y}",
        "https://tiles.example.org/{z}/{x}/{y}\n",
        "https://user@tiles.example.org/{z}/{x}/{y}",
        "javascript://tiles.example.org/{z}/{x}/{y}",
    ] {
        assert_eq!(Tiles::check(template), Err(TilesError), "{template}");
    }
    for template in ["http://127.0.0.1:8080/{z}/{x}/{y}.png", "https://[::1]/t?x={x}&y={y}&z={z}"] {
        assert_eq!(Tiles::check(template).as_deref(), Ok(template));
    }
}

#[test]
fn a_browser_that_has_a_file_receives_no_body() {
    let page = Page::new(None, 1);
    let (_, asset) = &page.files[0];
    let tag = asset.tag.to_str().unwrap();
    for (sent, status) in [
        (String::new(), 200),
        ("\"0\"".to_owned(), 200),
        (tag.to_owned(), 304),
        (format!("\"0\", W/{tag}"), 304),
        ("*".to_owned(), 304),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::try_from(sent.clone()).unwrap());
        let answer = page.answer(asset, &headers);
        assert_eq!(answer.status().as_u16(), status, "{sent}");
        assert_eq!(answer.headers()[header::ETAG], tag);
    }
}
