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

// folderPrefix is what the names of installed folders start with. launch.Digest
// knows it for another plugin's.
const folderPrefix = ".rekey-plugin-"

// mostUnpacked bounds an archive.
const mostUnpacked = 1 << 30

// staged is a plugin in a directory of its own beside the others, under the
// name by which it will be started.
type staged struct {
	dir    string
	name   string
	folder string // of a script, below dir; "": a program
}

// stage copies a program, the folder of a script, or an archive of either.
func stage(dir, from string) (*staged, error) {
	temp, err := os.MkdirTemp(dir, ".rekey-new-*")
	if err != nil {
		return nil, err
	}
	made := &staged{dir: temp}
	if err := errors.Join(os.Chmod(temp, 0o755), made.fill(from)); err != nil {
		made.discard()
		return nil, err
	}
	return made, nil
}

func (s *staged) discard() { _ = os.RemoveAll(s.dir) }

// program is the file that is started.
func (s *staged) program() string { return filepath.Join(s.dir, prefix+s.name) }

func (s *staged) fill(from string) error {
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
	s.name = strings.TrimPrefix(filepath.Base(program), prefix)
	return s.place(program, into)
}

// find returns the one plugin that a file is, or a directory has.
func find(path string) (string, error) {
	info, err := os.Stat(path)
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

// place puts the program, or the folder of a script and a link to it, where it
// is started from.
func (s *staged) place(program, into string) error {
	digest, script, err := launch.Digest(program)
	if err != nil {
		return err
	}
	if err := s.signature(program); err != nil {
		return err
	}
	if !script {
		return copyFile(program, s.program(), 0o755)
	}
	s.folder = folderPrefix + s.name + "-" + digest[:12]
	folder := filepath.Join(s.dir, s.folder)
	if strings.HasPrefix(program, into+string(filepath.Separator)) {
		err = os.Rename(filepath.Dir(program), folder)
	} else {
		err = os.CopyFS(folder, os.DirFS(filepath.Dir(program)))
	}
	if err == nil {
		err = os.Chmod(filepath.Join(folder, prefix+s.name), 0o755)
	}
	if err != nil {
		return err
	}
	return os.Symlink(filepath.Join(s.folder, prefix+s.name), s.program())
}

// signature copies the signature that lies beside a program.
func (s *staged) signature(program string) error {
	err := copyFile(lockfile.SignatureOf(program), lockfile.SignatureOf(s.program()), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// install moves the plugin to where runs start it: what is there is replaced at
// once, or not at all.
func (s *staged) install(path string) error {
	dir := filepath.Dir(path)
	if s.folder != "" {
		to := filepath.Join(dir, s.folder)
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(s.dir, s.folder), to); err != nil {
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
