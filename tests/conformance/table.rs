//! What every superserver is told, each in its own words: the one table of services that the adapters
//! in `peers` write down.

/// On which addresses a service listens. Each case has a network of its own, so its ports are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    V4,
    V6,
    /// All addresses of both families.
    Any,
}

/// What a service does.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Starts this program.
    Program(Vec<String>),
    /// Answers by itself; at the port that the protocol has, by which some know it.
    Builtin(&'static str),
}

/// One service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) address: Address,
    pub(super) port: u16,
    pub(super) is_udp: bool,
    /// The program gets the listening socket itself.
    pub(super) waits: bool,
    pub(super) action: Action,
    pub(super) user: &'static str,
    pub(super) group: Option<&'static str>,
    /// Programs at once.
    pub(super) at_once: Option<u32>,
    /// Programs at once for clients of one address.
    pub(super) per_source: Option<u32>,
    /// Starts in the unit of time that the server knows: a second, or else a minute.
    pub(super) rate: Option<u32>,
    /// Who is kept out.
    pub(super) deny: Option<&'static str>,
}

impl Service {
    /// A program that is started as root for each connection to a port of 127.0.0.1.
    pub(super) fn program(name: &'static str, port: u16, words: &[&str]) -> Service {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Service {
            name,
            address: Address::V4,
            port,
            is_udp: false,
            waits: false,
            action: Action::Program(words),
            user: "root",
            group: None,
            at_once: None,
            per_source: None,
            rate: None,
            deny: None,
        }
    }

    /// A program that is given the listening socket.
    pub(super) fn waiting(name: &'static str, port: u16, words: &[&str]) -> Service {
        let mut service = Service::program(name, port, words);
        service.waits = true;
        service
    }

    /// A program that is given the socket to which datagrams come.
    pub(super) fn datagrams(name: &'static str, port: u16, words: &[&str]) -> Service {
        let mut service = Service::waiting(name, port, words);
        service.is_udp = true;
        service
    }

    /// A service that needs no program.
    pub(super) fn builtin(name: &'static str, is_udp: bool) -> Service {
        let port = match name {
            "echo" => 7,
            "discard" => 9,
            "daytime" => 13,
            "chargen" => 19,
            "time" => 37,
            _ => panic!("{name} is no built-in service"),
        };
        let mut service = Service::program(name, port, &[]);
        service.action = Action::Builtin(name);
        service.is_udp = is_udp;
        // The classic form: there is nothing to wait for.
        service.waits = is_udp;
        if is_udp {
            service.name = match name {
                "echo" => "echo/udp",
                "discard" => "discard/udp",
                "daytime" => "daytime/udp",
                "chargen" => "chargen/udp",
                _ => "time/udp",
            };
        }
        service
    }

    /// The words of its program; none for a built-in.
    pub(super) fn words(&self) -> &[String] {
        match &self.action {
            Action::Program(words) => words,
            Action::Builtin(_) => &[],
        }
    }
}

/// What a server is to do.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) services: Vec<Service>,
    /// Its own limits are out of the way; else they are as they come.
    pub(super) is_lifted: bool,
}

impl Table {
    pub(super) fn new(services: Vec<Service>) -> Table {
        Table {
            services,
            is_lifted: true,
        }
    }

    pub(super) fn with_default_limits(mut self) -> Table {
        self.is_lifted = false;
        self
    }
}
