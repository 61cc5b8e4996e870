# Untested: its syntax is checked, it was never built.
# Used from a copy of the sources: nix build ./packaging/nix
{
  description = "Superserver: any program as a network service";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "oxinetd";
          version = "0.1.0";
          src = ../..;
          cargoLock.lockFile = ../../Cargo.lock;
          # The tests need root, and programs of a whole system.
          doCheck = false;
          postInstall = ''
            sysconfdir=/share/examples bindir=/bin libdir=/lib datadir=/share \
              packaging/install $out/bin/oxinetd $out
          '';
          meta.mainProgram = "oxinetd";
        };
      });

      nixosModules.default =
        {
          config,
          lib,
          pkgs,
          ...
        }:
        let
          cfg = config.services.oxinetd;
          table = pkgs.writeText "services.toml" cfg.table;
        in
        {
          options.services.oxinetd = {
            enable = lib.mkEnableOption "oxinetd, a superserver";
            table = lib.mkOption {
              type = lib.types.lines;
              description = "The table, see services.toml(5).";
              example = ''
                [service.daytime]
                listen = 13
                builtin = "daytime"
              '';
            };
          };
          config = lib.mkIf cfg.enable {
            users.users.oxinetd = {
              isSystemUser = true;
              group = "oxinetd";
            };
            users.groups.oxinetd = { };
            systemd.services.oxinetd = {
              description = "Superserver: programs as network services";
              wantedBy = [ "multi-user.target" ];
              after = [ "network.target" ];
              reloadTriggers = [ table ];
              serviceConfig = {
                Type = "notify";
                ExecStart = "${self.packages.${pkgs.system}.default}/bin/oxinetd serve --config /etc/oxinetd/services.toml";
                ExecReload = "${self.packages.${pkgs.system}.default}/bin/oxinetd reload";
                Restart = "on-failure";
                KillMode = "process";
                OOMPolicy = "continue";
                TasksMax = "infinity";
                LimitNOFILE = 65536;
                Delegate = true;
                RuntimeDirectory = "oxinetd";
                FileDescriptorStoreMax = 4096;
              };
            };
            environment.etc."oxinetd/services.toml".source = table;
          };
        };
    };
}
