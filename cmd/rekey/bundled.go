package main

import (
	"github.com/rekey-host/rekey/plugins/broadworks"
	programs "github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/plugins/file"
	"github.com/rekey-host/rekey/plugins/htpasswd"
	"github.com/rekey-host/rekey/plugins/http"
	"github.com/rekey-host/rekey/plugins/kendox"
	"github.com/rekey-host/rekey/plugins/ldap"
	"github.com/rekey-host/rekey/plugins/mysql"
	"github.com/rekey-host/rekey/plugins/openiam"
	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/plugins/redis"
	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/plugins/ssh"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
)

// bundled lists the backends that ship in the binary. It is the one place
// where host and plugins meet: each still runs in a process of its own.
func bundled() map[string]sdk.Backend {
	return map[string]sdk.Backend{
		"broadworks": broadworks.New(),
		"command":    programs.New(),
		"file":       file.New(),
		"htpasswd":   htpasswd.New(),
		"http":       http.New(),
		"kendox":     kendox.New(),
		"ldap":       ldap.New(),
		"memory":     memory.New(),
		"mysql":      mysql.New(),
		"openiam":    openiam.New(),
		"postgres":   postgres.New(),
		"redis":      redis.New(),
		"smartcloud": smartcloud.New(),
		"sqltable":   sqltable.New(),
		"ssh":        ssh.New(),
	}
}
