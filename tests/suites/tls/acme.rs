//! A certificate from Pebble, an ACME server for tests by Let's Encrypt.
//!
//! `cargo xtask test --only acme` runs the test, which is ignored otherwise: Pebble is a package of the system.

mod in_pebble {
    use std::{fs, net::SocketAddr};

    use hearth_tests::{Process, eventually, hearth};
    use reqwest::tls::Version;
    use serde_json::json;
    use tempfile::TempDir;
    use tokio::process::{Child, Command};

    use crate::{
        certificate::{self, HOST},
        files::free_address,
    };

    /// Pebble, and a DNS server in which every name is this machine.
    struct Pebble {
        _dns: Child,
        server: Child,
        directory: String,
        management: String,
        /// The file with the certificate of its own HTTPS.
        root: String,
    }

    impl Pebble {
        /// Starts it; it checks names at `port` of this machine.
        async fn start(folder: &TempDir, port: u16) -> Self {
            let path = |name: &str| folder.path().join(name).display().to_string();
            let (certificate, key) = certificate::create("localhost");
            fs::write(path("pebble.pem"), &certificate).unwrap();
            fs::write(path("pebble.key"), key).unwrap();
            let (listen, management, dns) = (free_address(), free_address(), free_address());
            let config = json!({"pebble": {
                "listenAddress": listen.to_string(),
                "managementListenAddress": management.to_string(),
                "certificate": path("pebble.pem"),
                "privateKey": path("pebble.key"),
                "httpPort": 1,
                "tlsPort": port,
            }});
            fs::write(path("pebble.json"), config.to_string()).unwrap();
            let mut names = Command::new("pebble-challtestsrv");
            names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
            names.args(["-dns01", &dns.to_string(), "-management", &free_address().to_string()]);
            let mut server = Command::new("pebble");
            server.args(["-strict", "-config", &path("pebble.json"), "-dnsserver", &dns.to_string()]);
            server.env("PEBBLE_VA_NOSLEEP", "1");
            let log = |name: &str| fs::File::create(path(name)).unwrap();
            let names =
                names.stdout(log("dns.log")).stderr(log("dns.err")).kill_on_drop(true).spawn().unwrap();
            let server = server.stdout(log("pebble.log")).stderr(log("pebble.err"));
            let server = server.kill_on_drop(true).spawn().unwrap();
            let pebble = Self {
                _dns: names,
                server,
                directory: format!("https://localhost:{}/dir", listen.port()),
                management: format!("https://localhost:{}", management.port()),
                root: path("pebble.pem"),
            };
            let client = pebble.client();
            let ask = || async { client.get(&pebble.directory).send().await.ok() };
            eventually("Pebble answers", ask).await;
            pebble
        }

        async fn end(&mut self) {
            self.server.kill().await.unwrap();
        }

        fn client(&self) -> reqwest::Client {
            certificate::client_builder(&fs::read_to_string(&self.root).unwrap()).build().unwrap()
        }

        /// The root of the certificates that it issues, PEM.
        async fn issuer(&self) -> String {
            let url = format!("{}/roots/0", self.management);
            self.client().get(url).send().await.unwrap().text().await.unwrap()
        }
    }

    #[tokio::test]
    #[ignore = "needs Pebble: cargo xtask test --only acme"]
    async fn certificate_is_issued_stored_and_used_again() {
        let folder = TempDir::new().unwrap();
        let port = free_address().port();
        let mut pebble = Pebble::start(&folder, port).await;
        let issuer = pebble.issuer().await;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let data = folder.path().join("data");
        let (directory, root) = (pebble.directory.clone(), pebble.root.clone());
        let up = || {
            let mut command = hearth(
                folder.path(),
                &[
                    "up",
                    "--json",
                    "--no-node",
                    "--port",
                    &port.to_string(),
                    "--data",
                    &data.display().to_string(),
                    "--tls-domain",
                    HOST,
                ],
            );
            command.env("HEARTH_TLS__DIRECTORY", &directory).env("HEARTH_TLS__DIRECTORY_ROOT", &root);
            Process::spawn(command, folder.path().join("stderr.log"))
        };
        let mut process = up();
        assert_eq!(process.ready().await["url"], format!("https://{HOST}:{port}"));
        let get = || async {
            let client = certificate::client(&issuer, address, Version::TLS_1_3);
            client.get(format!("https://{HOST}:{port}/health")).send().await.ok()
        };
        eventually("the issued certificate is served", get).await;
        process.stop().await;
        // The next start uses the stored certificate, and the ACME server isn't needed.
        let stored = fs::read(data.join("tls/certificate.pem")).unwrap();
        pebble.end().await;
        let mut process = up();
        process.ready().await;
        let client = certificate::client(&issuer, address, Version::TLS_1_3);
        client.get(format!("https://{HOST}:{port}/health")).send().await.unwrap();
        process.stop().await;
        assert_eq!(fs::read(data.join("tls/certificate.pem")).unwrap(), stored);
        for file in ["certificate.pem", "account.json"] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(data.join("tls").join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
}
