package redis

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/sdk"
)

var replicas = regexp.MustCompile(`(?m)^connected_slaves:([1-9][0-9]*)`)

// Check logs on, and asks what the user may do and where users are kept.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	replies, failed := i.ask(ctx, []command{{"ACL", "USERS"}, {"ACL", "GETUSER", i.user}, {"CONFIG", "GET", "aclfile"}, {"INFO", "replication"}, {"TIME"}})
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	var found []sdk.Finding
	if i.Exposed {
		found = append(found, warning("passwords travel in clear: redis:// to another machine", "use rediss://"))
	}
	for _, reply := range replies[:2] {
		if answer, ok := reply.(redis.Error); ok {
			return append(found, bad(explain(answer), fmt.Sprintf("ACL SETUSER %s +acl|getuser +acl|setuser +acl|users +acl|whoami +acl|save", i.user)))
		}
	}
	found = append(found, i.checkSave(replies[2])...)
	if info, err := redis.String(replies[3], nil); err == nil {
		if many := replicas.FindStringSubmatch(info); many != nil {
			found = append(found, warning("the server has "+many[1]+" replicas, which have users of their own: a set does not reach them", "give each node a backend of its own"))
		}
	}
	return append(found, i.Told(clock(replies[4]))...)
}

// clock is what TIME answered; the zero time where the user may not ask.
func clock(reply any) time.Time {
	parts, err := redis.Int64s(reply, nil)
	if err != nil || len(parts) != 2 {
		return time.Time{}
	}
	return time.Unix(parts[0], parts[1]*1000)
}

// checkSave looks whether what is set will last.
func (i *Instance) checkSave(reply any) []sdk.Finding {
	if i.save == saveNone {
		return []sdk.Finding{warning(`save = "none": the old passwords are back when the server starts again`, `save = "acl" or save = "config"`)}
	}
	list, err := redis.Strings(reply, nil)
	if err != nil {
		return []sdk.Finding{{Severity: sdk.Info, Message: "rekey may not ask where the server keeps its users (CONFIG GET aclfile)"}}
	}
	file := ""
	if len(list) == 2 {
		file = list[1]
	}
	switch {
	case i.save == saveACL && file == "":
		return []sdk.Finding{bad(sdk.Errorf(sdk.InvalidConfig, "save: the server has no aclfile, so ACL SAVE fails"), `save = "config" where users stand in redis.conf, or save = "none"`)}
	case i.save == saveConfig && file != "":
		return []sdk.Finding{bad(sdk.Errorf(sdk.InvalidConfig, "save: the server keeps its users in %s, which CONFIG REWRITE does not write", file), `save = "acl"`)}
	}
	return nil
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}

func warning(message, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Warning, Message: message, Fix: fix}
}
