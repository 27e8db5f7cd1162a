package main

import (
	"fmt"

	"github.com/rekey-host/rekey/host"
)

type backupCmd struct {
	Dir      string `arg:"" name:"DIR" type:"path" help:"A directory that does not exist or is empty."`
	Identity bool   `help:"Copy the age identity too: whoever has the backup can then read every password in it."`
}

// Help is the longer help of the command.
func (backupCmd) Help() string {
	return `Copies every run, as of one moment and as one file, the audit key, and what is known of reports that were written;
runs may go on meanwhile. To put it back: copy the directory to where the state directory was, put the identity into it,
and go on with a run by "rekey resume RUN --moved".`
}

// backupResult is what rekey backup --json prints.
type backupResult struct {
	Dir      string   `json:"dir"`
	Runs     int      `json:"runs"`
	Identity bool     `json:"identity"`
	Damaged  []string `json:"damaged"`
	ExitCode int      `json:"exit_code"`
}

// Run backs up.
func (c *backupCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	_, stop := app.signals()
	backup, err := opened.Backup(stop, host.BackupOptions{Dir: c.Dir, Identity: c.Identity})
	if err != nil {
		return err
	}
	out := backupResult{Dir: backup.Dir, Runs: backup.Runs, Identity: c.Identity, Damaged: append([]string{}, backup.Damaged...)}
	if len(backup.Damaged) > 0 {
		out.ExitCode = host.ExitUnexpected
	}
	for _, text := range backup.Damaged {
		fmt.Fprintf(app.process.stderr, "rekey: %s; it is in the backup as it lies\n", text)
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, out)
		return errExit(out.ExitCode)
	}
	fmt.Fprintf(app.process.stderr, "rekey: wrote %s: %s\n", backup.Dir, counted(int64(backup.Runs), "run"))
	if !c.Identity {
		fmt.Fprintf(app.process.stderr, "rekey: keep a copy of %s elsewhere too: without it, or another recipient's, the passwords in the backup cannot be opened\n", opened.IdentityPath)
	}
	return errExit(out.ExitCode)
}
