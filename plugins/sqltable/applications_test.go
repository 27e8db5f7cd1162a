package sqltable_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/sdk"
)

// served runs a web server until the test ends, and waits until it answers.
func served(t *testing.T, address string, command *exec.Cmd) {
	t.Helper()
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // its end is what is waited for
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // its workers too
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/none")
		if err == nil {
			_ = response.Body.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("the web server ended: %s", said.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the web server does not answer: %v", err)
		}
	}
}

// form is how a login page is filled in.
type form struct {
	page, user, password string // its address, and the names of its fields
	more                 url.Values
	token                *regexp.Regexp // of the page, and what it goes into; nil: none
}

// logsIn reports whether the application sends who fills in its form on to the page
// behind it.
func (f form) logsIn(t *testing.T, user, value string) bool {
	t.Helper()
	jar, _ := cookiejar.New(nil) // never fails
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	body := f.read(t, client)
	fields := url.Values{f.user: {user}, f.password: {value}}
	for name, values := range f.more {
		fields[name] = values
	}
	if f.token != nil {
		found := f.token.FindStringSubmatch(body)
		if found == nil {
			t.Fatalf("%s has no %s: %.500s", f.page, f.token, body)
		}
		fields.Set(found[1], found[2])
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.page, strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Referer", f.page)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	switch response.StatusCode {
	case http.StatusFound:
		return true
	case http.StatusOK:
		return false
	}
	t.Fatalf("%s: %s: %.500s", f.page, response.Status, answer)
	return false
}

// read is the page, and its cookies go to the client.
func (f form) read(t *testing.T, client *http.Client) string {
	t.Helper()
	response, err := client.Get(f.page)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// applicationUsers are who an application has at first, all with one password.
var applicationUsers = []string{"ann", "bob", "cy"}

const firstPassword = "first-Passw0rd"

// wordpress puts a WordPress of Debian's into the database, and serves it.
func wordpress(t *testing.T, b base) form {
	t.Helper()
	for path, name := range map[string]string{"/usr/share/wordpress/wp-login.php": "wordpress", "/usr/bin/php": "php-cli"} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: apt-get install %s", err, name)
		}
	}
	b.must(t, "CREATE DATABASE wordpress CHARACTER SET utf8mb4", "GRANT ALL ON wordpress.* TO wp@'%' IDENTIFIED BY 'wp-secret'", "GRANT SELECT, UPDATE ON wordpress.* TO "+user)
	t.Cleanup(func() { _, _ = b.run("DROP DATABASE wordpress", "DROP USER wp@'%'") })
	dir, address := quick(t), fmt.Sprintf("127.0.0.1:%d", reachtest.FreePort(t))
	for _, name := range []string{"wp-admin", "wp-includes", "wp-settings.php", "wp-load.php", "wp-login.php"} {
		if err := os.Symlink("/usr/share/wordpress/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	settings := map[string]string{"DB_NAME": "wordpress", "DB_USER": "wp", "DB_PASSWORD": "wp-secret", "DB_HOST": b.server, "DB_CHARSET": "utf8mb4", "DB_COLLATE": "",
		"WP_HOME": "http://" + address, "WP_SITEURL": "http://" + address, "WP_CONTENT_DIR": dir + "/wp-content", "AUTH_KEY": "a", "SECURE_AUTH_KEY": "b", "LOGGED_IN_KEY": "c", "NONCE_KEY": "d"}
	config := "<?php\n"
	for name, value := range settings {
		config += fmt.Sprintf("define('%s', '%s');\n", name, value)
	}
	config += "define('DISABLE_WP_CRON', true);\ndefine('WP_HTTP_BLOCK_EXTERNAL', true);\n$table_prefix = 'wp_';\nrequire_once ABSPATH . 'wp-settings.php';\n"
	install := "<?php\ndefine('WP_INSTALLING', true);\nfunction wp_mail() { return true; }\nrequire ABSPATH . 'wp-load.php';\nrequire ABSPATH . 'wp-admin/includes/upgrade.php';\n" +
		"wp_install('Acme', 'admin', 'admin@acme.example', false, '', 'admin-secret');\n"
	for _, name := range applicationUsers {
		install += fmt.Sprintf("wp_create_user('%s', '%s', '%s@acme.example');\n", name, firstPassword, name)
	}
	write(t, dir, map[string]string{"wp-config.php": config, "place.php": "<?php define('ABSPATH', '" + dir + "/');\n", "install.php": install})
	php := func(args ...string) *exec.Cmd {
		command := exec.CommandContext(context.WithoutCancel(t.Context()), "/usr/bin/php", append([]string{"-d", "auto_prepend_file=" + dir + "/place.php", "-d", "opcache.enable_cli=0"}, args...)...)
		command.Dir, command.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
		return command
	}
	if said, err := php("install.php").CombinedOutput(); err != nil {
		t.Fatalf("WordPress is not installed: %v: %.1000s", err, said)
	}
	served(t, address, php("-S", address, "-t", dir))
	return form{page: "http://" + address + "/wp-login.php", user: "log", password: "pwd", more: url.Values{"testcookie": {"1"}, "wp-submit": {"Log In"}}}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// site is a Django with the pages of its administration alone.
const site = `
import sys
from django.conf import settings
settings.configure(DEBUG=False, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="site_of_test", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors":
        ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}])
import django
django.setup()
from django.contrib import admin
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path
import types
module = types.ModuleType("site_of_test")
sys.modules["site_of_test"] = module
module.urlpatterns = [path("admin/", admin.site.urls)]
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
for name in sys.argv[4:]:
    User.objects.create_superuser(name, name + "@acme.example", sys.argv[3])
from wsgiref.simple_server import make_server
host, port = sys.argv[2].split(":")
make_server(host, int(port), get_wsgi_application()).serve_forever()
`

// django serves a Django of Debian's, which makes its tables in the database.
func django(t *testing.T, b base) form {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", reachtest.FreePort(t))
	command := exec.CommandContext(context.WithoutCancel(t.Context()), "/usr/bin/python3", append([]string{"-W", "ignore", "-c", site, b.values["path"].(string), address, firstPassword}, applicationUsers...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	served(t, address, command)
	return form{page: "http://" + address + "/admin/login/?next=/admin/", user: "username", password: "password", token: regexp.MustCompile(`name="(csrfmiddlewaretoken)" value="([^"]+)"`)}
}

// Two applications of Debian's let their users in with what was set, by their own
// login pages, and with nothing else.
func TestApplicationsLetTheirUsersIn(t *testing.T) {
	plain := []any{"must_change_column", nil, "updated_column", nil, "set", nil}
	for _, test := range []struct {
		name  string
		base  base
		start func(*testing.T, base) form
		more  []any
		odd   string // a value that only some applications take as it is
		takes bool
	}{
		{"WordPress", mysql(t), wordpress, []any{"database", "wordpress", "key", "user_login", "column", "user_pass", "hash", "phpass", "set", []string{"user_activation_key="}}, `it's "q" \`, false},
		{"Django", sqlite(t), django, []any{"key", "username", "column", "password", "hash", "pbkdf2-django", "cost", int64(1000), "where", "is_active"}, ` it's "q" \ 日本🔑`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			page := test.start(t, test.base)
			table := map[string]string{"WordPress": "wp_users", "Django": "auth_user"}[test.name]
			instance := open(t, test.base.config(table, append(append([]any{}, plain...), test.more...)...))
			wantPage(t, page, "ann", firstPassword, true)
			ops := []sdk.Operation{set("ann", "new-Passw0rd of ann"), set("bob", test.odd), set("nobody", "x")}
			for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
				want(t, receipt, []string{"applied", "applied", "refused AccountNotFound"}[index])
			}
			wantPage(t, page, "ann", "new-Passw0rd of ann", true)
			wantPage(t, page, "ann", firstPassword, false)
			wantPage(t, page, "ann", "new-Passw0rd of bob", false)
			wantPage(t, page, "bob", test.odd, test.takes)
			wantPage(t, page, "bob", firstPassword, false)
			wantPage(t, page, "cy", firstPassword, true)
			for _, finding := range instance.Check(t.Context()) {
				t.Errorf("Check: %+v", finding)
			}
		})
	}
}

func wantPage(t *testing.T, page form, user, value string, want bool) {
	t.Helper()
	if got := page.logsIn(t, user, value); got != want {
		t.Errorf("%s with %q: let in %v, want %v", user, value, got, want)
	}
}
