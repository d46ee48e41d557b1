//! Every directory of `tests/schemas` with a query of the framework's own answers.

use std::path::{Path, PathBuf};

use pbac::policy_file;

use crate::world::{World, schemas};

/// `legacy.sql` of each framework, and the name of its directory.
fn frameworks() -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = schemas()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("framework.sql").exists() || path.join("framework-roles.sql").exists())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    found.sort();
    assert!(found.len() >= 8, "{found:?}");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The world of a framework, and what `pbac init` says about it.
async fn drafted(name: &str, path: &Path) -> (World, String) {
    let world = World::with(&read(&path.join("legacy.sql"))).await;
    let chosen = read(&path.join("init.args"));
    let arguments: Vec<&str> =
        ["init", "--name", name].into_iter().chain(chosen.split_whitespace()).collect();
    let ran = world.run(&arguments);
    assert_eq!(ran.status, 0, "{name}: {}{}", ran.output, ran.errors);
    (world, ran.output)
}

#[tokio::test]
async fn what_is_said_and_written_is_as_recorded() {
    let bless = std::env::var_os("PBAC_BLESS").is_some();
    for (name, path) in frameworks() {
        let (world, output) = drafted(&name, &path).await;
        let output = output.replace(world.database.name().as_str(), "DATABASE");
        for (file, text) in [
            ("init.txt", output),
            ("draft.policy.toml", world.file("policy.toml")),
            ("draft.legacy-permissions.toml", world.file("legacy-permissions.toml")),
        ] {
            let golden = path.join(file);
            if bless && !text.is_empty() {
                std::fs::write(&golden, &text).unwrap();
            }
            assert_eq!(text, read(&golden), "{}; PBAC_BLESS=1 records it anew", golden.display());
        }
        let again = world.run(&["init"]);
        assert_eq!(again.status, 6, "{name}: {}", again.output);
        assert!(again.errors.contains("`./policy.toml` is there already"), "{}", again.errors);
    }
}

#[tokio::test]
async fn a_draft_gives_every_user_what_the_framework_gives() {
    for (name, path) in frameworks() {
        let (world, _) = drafted(&name, &path).await;
        let query = read(&path.join("framework.sql"));
        if query.is_empty() {
            continue;
        }
        world.migrate(&[]).await;
        let mut expected = world.pairs(&query).await;
        expected.retain(|(user, _)| !user.starts_with("role:"));
        assert!(expected.len() > 3, "{name}: {expected:?}");
        assert_eq!(world.effective().await, expected, "{name}");
    }
}

/// Where the framework has no permissions, each role is given one of its own, which shows who has it.
#[tokio::test]
async fn a_draft_gives_every_user_the_roles_that_the_framework_gives() {
    for (name, path) in frameworks() {
        let query = read(&path.join("framework-roles.sql"));
        if query.is_empty() {
            continue;
        }
        let (world, _) = drafted(&name, &path).await;
        let text = world.file("policy.toml");
        let roles: Vec<String> = policy_file::parse(&text, "draft")
            .unwrap()
            .policy
            .roles()
            .iter()
            .map(|role| role.name.to_string())
            .collect();
        let mut filled = String::from("[modules.has.permissions]\n");
        for (place, role) in roles.iter().enumerate() {
            filled.push_str(&format!("\"has.r{place}\" = \"{role}\"\n"));
        }
        let mut lines = text.replacen("[roles.", &format!("{filled}\n[roles."), 1);
        for (place, role) in roles.iter().enumerate() {
            let heading =
                lines.find(&format!("[roles.{role}]")).unwrap_or_else(|| panic!("{role} in {lines}"));
            let (before, after) = lines.split_at(heading);
            lines = format!(
                "{before}{}",
                after.replacen("grants = []", &format!("grants = [\"has.r{place}\"]"), 1)
            );
        }
        std::fs::write(world.directory.path().join("policy.toml"), lines).unwrap();
        world.migrate(&[]).await;
        let expected = world.pairs(&query).await;
        let mut found = world.effective().await;
        for (_, permission) in &mut found {
            let place: usize = permission.trim_start_matches("has.r").parse().unwrap();
            permission.clone_from(&roles[place]);
        }
        found.sort();
        assert!(expected.len() > 3, "{name}: {expected:?}");
        assert_eq!(found, expected, "{name}");
    }
}
