package depot

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/lockfile"
)

// staging is what the names of directories begin with in which plugins wait.
const staging = ".rekey-new"

// mostUnpacked bounds an archive.
const mostUnpacked = 1 << 30

// staged is a plugin in a directory of its own beside the others, under the
// name by which it will be started.
type staged struct {
	dir    string
	name   string
	source string // the program or script that was found
	folder string // of a script, below dir; "": a program
	alone  bool   // something lies beside the script, and was not taken
	copied []string
}

// stage copies a program, a script, the folder of one, or an archive of either,
// unless its name is taken.
func stage(dir, from string, taken func(string) bool) (*staged, error) {
	temp, err := os.MkdirTemp(dir, staging+"-*")
	if err != nil {
		return nil, err
	}
	made := &staged{dir: temp}
	if err := errors.Join(os.Chmod(temp, 0o755), made.fill(from, taken)); err != nil {
		made.discard()
		return nil, err
	}
	return made, nil
}

func (s *staged) discard() { _ = os.RemoveAll(s.dir) }

// program is the file that is started.
func (s *staged) program() string { return filepath.Join(s.dir, prefix+s.name) }

func (s *staged) fill(from string, taken func(string) bool) error {
	into := filepath.Join(s.dir, "folder")
	unpacked := into
	var err error
	switch {
	case strings.HasSuffix(from, ".zip"):
		err = unzip(from, into)
	case strings.HasSuffix(from, ".tar.gz"), strings.HasSuffix(from, ".tgz"):
		err = untar(from, into)
	default:
		unpacked = from
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	program, err := find(unpacked)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	s.source, s.name = program, strings.TrimPrefix(filepath.Base(program), prefix)
	if taken(s.name) {
		return fmt.Errorf("%s: the name %q is that of a backend in rekey itself; rename the file", from, s.name)
	}
	whole := ""
	if info, err := os.Stat(unpacked); err == nil && info.IsDir() {
		whole = filepath.Dir(program)
	}
	if err := s.place(program, whole); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

// find returns the one plugin that a file is, or a directory has.
func find(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("does not exist")
	}
	if err != nil {
		return "", err
	}
	found := []string{path}
	if info.IsDir() {
		found = nil
		err = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && plugin(at) {
				found = append(found, at)
			}
			return err
		})
	}
	switch {
	case err != nil:
		return "", err
	case len(found) != 1:
		return "", fmt.Errorf("it has %d files named %sNAME, want one", len(found), prefix)
	case !plugin(found[0]):
		return "", fmt.Errorf("a plugin is named %sNAME, with small letters, digits, - and _; rename it", prefix)
	}
	return filepath.EvalSymlinks(found[0])
}

func plugin(path string) bool {
	name, ok := strings.CutPrefix(filepath.Base(path), prefix)
	return ok && lockfile.ValidName(name)
}

// place puts the program where it is started from; of a script a link to it, in
// a folder of its own with what was named beside it. folder is "" if nothing was.
func (s *staged) place(program, folder string) error {
	if err := s.signature(program); err != nil {
		return err
	}
	if program, err := launch.IsProgram(program); err != nil || program {
		return errors.Join(err, copyFile(s.source, s.program(), 0o755))
	}
	s.folder = launch.FolderPrefix + s.name + strings.TrimPrefix(filepath.Base(s.dir), staging)
	if err := s.copyScript(program, folder, filepath.Join(s.dir, s.folder)); err != nil {
		return err
	}
	return os.Symlink(filepath.Join(s.folder, prefix+s.name), s.program())
}

func (s *staged) copyScript(program, folder, to string) error {
	script := filepath.Join(to, prefix+s.name)
	if folder == "" {
		entries, err := os.ReadDir(filepath.Dir(program))
		s.alone = err == nil && len(entries) > 1
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		return copyFile(program, script, 0o755)
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(s.dir)); err != nil || within(real, folder) && !within(folder, s.dir) {
		return errors.Join(err, fmt.Errorf("the plugin directory %s lies in it; give the script a folder of its own", filepath.Dir(s.dir)))
	}
	if err := copyFolder(folder, to); err != nil {
		return err
	}
	var err error
	s.copied, err = namesIn(to)
	return errors.Join(err, os.Chmod(script, 0o755))
}

// within reports whether a path is a directory or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// namesIn are the names in a directory, those of directories with a / behind them.
func namesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names, err
}

// copyFolder copies a folder with the modes of its files, but for caches, which no
// digest has. Links in it stay links, and may not lead out of it.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		switch target := filepath.Join(to, rel); {
		case err != nil:
			return err
		case launch.IsCache(entry):
			return fs.SkipDir
		case entry.IsDir():
			return os.Mkdir(target, 0o700|info.Mode().Perm())
		case info.Mode().IsRegular():
			return copyFile(path, target, info.Mode().Perm())
		case info.Mode()&fs.ModeSymlink != 0:
			return copyLink(path, target, filepath.Dir(rel))
		}
		return fmt.Errorf("%s is no file and no directory", path)
	})
}

// copyLink copies a link that lies in a directory of the folder.
func copyLink(path, to, dir string) error {
	leads, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if filepath.IsAbs(leads) || !filepath.IsLocal(filepath.Join(dir, leads)) {
		return fmt.Errorf("%s is a link out of the folder, to %s; put what it means there", path, leads)
	}
	return os.Symlink(leads, to)
}

// signature copies the signature that lies beside a program.
func (s *staged) signature(program string) error {
	err := copyFile(lockfile.SignatureOf(program), lockfile.SignatureOf(s.program()), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// explain returns the error of a plugin that could not be asked what it is, in the
// words of who gave it. A script that ends at once lacks what was not taken.
func (s *staged) explain(err error) error {
	var started *launch.StartError
	if s.alone && errors.As(err, &started) && started.Phase == launch.PhaseExit {
		folder := filepath.Dir(s.source)
		err = fmt.Errorf("plugin %s: %s; what lies beside it in %s was not taken: if it needs that, give the folder: rekey plugin add %s", s.name, started.Message, folder, folder)
	}
	return errors.New(strings.ReplaceAll(err.Error(), s.program(), s.source))
}

// install moves the plugin to where runs start it: what is there is replaced at
// once, or not at all.
func (s *staged) install(path string) error {
	dir := filepath.Dir(path)
	if s.folder != "" {
		if err := os.Rename(filepath.Join(s.dir, s.folder), filepath.Join(dir, s.folder)); err != nil {
			return err
		}
	}
	err := os.Rename(lockfile.SignatureOf(s.program()), lockfile.SignatureOf(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(s.program(), path)
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	return write(to, mode, source)
}

func write(path string, mode fs.FileMode, from io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
}

// unpacking writes the files of an archive below a directory.
type unpacking struct {
	into string
	left int64
}

// file writes one. Names that lead out of the directory are refused, and
// so is what is neither a file nor a directory.
func (u *unpacking) file(name string, mode fs.FileMode, from io.Reader) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q leads out of the archive", name)
	}
	path := filepath.Join(u.into, name)
	switch {
	case mode.IsDir():
		return os.MkdirAll(path, 0o755)
	case !mode.IsRegular():
		return fmt.Errorf("%q is no file and no directory", name)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	limited := &io.LimitedReader{R: from, N: u.left + 1}
	if err := write(path, 0o644|mode&0o111, limited); err != nil {
		return err
	}
	if u.left = limited.N - 1; u.left < 0 {
		return fmt.Errorf("it unpacks to more than %d MiB", mostUnpacked>>20)
	}
	return nil
}

func untar(from, into string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	packed, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	to := unpacking{into, mostUnpacked}
	for archive := tar.NewReader(packed); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = to.file(head.Name, head.FileInfo().Mode(), archive)
		}
		if err != nil {
			return err
		}
	}
}

func unzip(from, into string) error {
	archive, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	to := unpacking{into, mostUnpacked}
	for _, entry := range archive.File {
		content, err := entry.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(to.file(entry.Name, entry.Mode(), content), content.Close()); err != nil {
			return err
		}
	}
	return nil
}
