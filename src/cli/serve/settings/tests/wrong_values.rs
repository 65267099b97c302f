//! Wrong values of settings, from each source.

use super::*;

#[test]
fn a_wrong_value_of_each_setting_is_refused_with_its_source() {
    let wrong = "#?";
    let mut any_text = Vec::new();
    let command = crate::cli::command();
    for key in Key::all(command.find_subcommand("serve").unwrap()) {
        let name = &key.name;
        if key.kind != Kind::Switch && key.check(OsStr::new(wrong)).is_ok() {
            any_text.push(name.clone());
            continue;
        }
        let error = file_error(format!("{name} = \"{wrong}\""));
        assert!(error.starts_with(&format!("FILE, line 1: {name} ")), "{error}");
        let variable = &key.variables[0];
        let error = Sources::new(&[]).variable(variable, wrong).error();
        assert!(error.contains(variable), "{error}");
        let error = Sources::new(&[&format!("--{name}={wrong}")]).error();
        assert!(error.contains(&format!("--{name}")), "{error}");
    }
    // Any text can be the name of a file. `config check` checks the others later.
    insta::assert_snapshot!(
        any_text.join(" "),
        @"log-filter tiles-attribution otlp-endpoint store-password-file data-dir tls-cert tls-key tls-client-ca tokens jwks jwt-issuer jwt-audience jwt-namespace-claim jwt-role-claim features"
    );
}

#[test]
fn an_error_does_not_quote_a_secret_in_the_wrong_place() {
    for content in [
        "password = \"hunter2\"",
        "token = \"hunter2\"",
        "data-dir = \"-----BEGIN PRIVATE KEY-----hunter2\"",
        "listen = hunter2",
        "[[principal]]\ntoken_sha256 = [\"hunter2\"]",
        "data-dir = \"hunter2",
    ] {
        let error = file_error(content);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_zero_is_refused_where_it_is_no_limit() {
    let command = crate::cli::command();
    let mut accepted = Vec::new();
    for argument in command.find_subcommand("serve").unwrap().get_arguments() {
        let unit = match argument.get_value_names().and_then(|names| names.first()) {
            Some(name) if name == "TIME" => "s",
            Some(name) if name == "COUNT" || name == "SIZE" => "",
            _ => continue,
        };
        let name = argument.get_long().unwrap();
        match Sources::new(&[&format!("--{name}=0{unit}")]).parse() {
            Ok(parsed) => {
                let flags = parsed.matches.subcommand_matches("serve").unwrap();
                let args = ServeArgs::from_arg_matches(flags).unwrap();
                match args.config().check() {
                    Ok(_) => accepted.push(name.to_owned()),
                    Err(error) => {
                        let field = name.replace("-", "_");
                        assert!(error.to_string().contains(&field), "{name}: {error}");
                    }
                }
            }
            Err(Rejection::Setting(message)) => assert!(message.contains(name), "{message}"),
            Err(Rejection::Arguments(error, _)) => {
                let error = error.to_string();
                assert!(error.contains(&format!("--{name} <")), "{error}");
                assert!(error.contains("must be"), "{error}");
            }
        }
    }
    // 0 means one thread per core, no difference of clocks, and no resets.
    insta::assert_snapshot!(
        accepted.join(" "),
        @"threads jwt-clock-skew max-error-resets max-pending-resets"
    );
}
