package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// place is where a cluster lives and as whom its server runs.
type place struct {
	dir        string
	credential *syscall.Credential // nil: as ourselves
}

func (p place) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Credential: p.credential,
		Setpgid:    true, // Ctrl-C must not reach the server before we have drained our connections
	}
	dieWithParent(a)
	return a
}

func (p place) give(path string) error {
	if p.credential == nil {
		return nil
	}
	return os.Chown(path, int(p.credential.Uid), int(p.credential.Gid))
}

// settle decides on folder and user, and makes the folder.
func settle(c Config) (place, error) {
	if c.Dir == "" {
		return place{}, errors.New("no folder given for the embedded PostgreSQL")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return place{}, fmt.Errorf("resolve %s: %w", c.Dir, err)
	}
	substitute := filepath.Join(fallbackBase, folderHash(resolved(dir)))
	if os.Geteuid() != 0 {
		return settleOrdinary(dir, substitute)
	}

	if owner, ok := ownerOf(filepath.Join(dir, "data")); ok {
		return settleExisting(dir, owner)
	}
	if owner, ok := ownerOf(filepath.Join(substitute, "data")); ok {
		c.Log(fmt.Sprintf("PostgreSQL's data is kept in %s, made when its user could not reach %s", substitute, dir))
		return settleExisting(substitute, owner)
	}
	credential, name, err := unprivileged()
	if err != nil {
		return place{}, err
	}
	p := place{dir: dir, credential: credential}
	if p.make() == nil && p.reachable() {
		return p, nil
	}
	os.Remove(dir) // only when empty: ours, made a moment ago
	p.dir = substitute
	if err := p.make(); err != nil {
		return place{}, fmt.Errorf("user %s cannot reach %s, and its substitute cannot be made: %w: put POSTERN_DATA where every user may pass (chmod 0711 its parents), or run as an ordinary user", name, dir, err)
	}
	if !p.reachable() {
		return place{}, fmt.Errorf("user %s can reach neither %s nor %s: make the folders above one of them passable (chmod 0711)", name, dir, substitute)
	}
	c.Log(fmt.Sprintf("PostgreSQL runs as user %s, who cannot reach %s: its data is kept in %s", name, dir, substitute))
	return p, nil
}

func settleOrdinary(dir, substitute string) (place, error) {
	for _, path := range []string{dir, filepath.Join(dir, "data")} { // the second cannot be seen in another's folder
		if owner, ok := ownerOf(path); ok && int(owner.Uid) != os.Geteuid() {
			return place{}, fmt.Errorf("the cluster in %s belongs to user id %d: run as that user, or as root", dir, owner.Uid)
		}
	}
	_, err := os.Stat(filepath.Join(dir, "data"))
	if _, elsewhere := ownerOf(substitute); elsewhere && errors.Is(err, fs.ErrNotExist) {
		return place{}, fmt.Errorf("the cluster of %s was made by root and is kept in %s: run as root, or choose another POSTERN_DATA", dir, substitute)
	}
	p := place{dir: dir}
	return p, p.make()
}

// settleExisting runs the server as whoever owns the data: PostgreSQL refuses any other user.
func settleExisting(dir string, owner syscall.Credential) (place, error) {
	if owner.Uid == 0 {
		return place{}, fmt.Errorf("%s/data belongs to root, as whom PostgreSQL refuses to run: chown -R it to an unprivileged user", dir)
	}
	p := place{dir: dir, credential: &owner}
	if err := p.make(); err != nil {
		return place{}, err
	}
	if !p.reachable() {
		return place{}, fmt.Errorf("user id %d owns %s/data but cannot reach it: make the folders above passable (chmod 0711)", owner.Uid, dir)
	}
	return p, nil
}

// make creates the folder, 0700 and the user's, and what is missing above it, which others may pass but not list.
func (p place) make() error {
	if err := os.MkdirAll(filepath.Dir(p.dir), 0o711); err != nil {
		return fmt.Errorf("make the folder of the cluster: %w", err)
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of the cluster: %w", err)
	}
	if err := p.give(p.dir); err != nil {
		return fmt.Errorf("give the folder of the cluster to its user: %w", err)
	}
	if err := os.Chmod(p.dir, 0o700); err != nil {
		return fmt.Errorf("close the folder of the cluster: %w", err)
	}
	return nil
}

// reachable tries: a program is started as the user inside the folder (the kernel changes the user first, then the folder).
func (p place) reachable() bool {
	cmd := exec.Command("/bin/true")
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	return cmd.Run() == nil
}

func unprivileged() (*syscall.Credential, string, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, name, nil
	}
	return nil, "", errors.New("PostgreSQL refuses to run as root, and neither user postgres nor nobody exists: run as an ordinary user")
}

func ownerOf(path string) (syscall.Credential, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return syscall.Credential{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return syscall.Credential{}, false
	}
	return syscall.Credential{Uid: st.Uid, Gid: st.Gid}, true
}

// resolved follows links as far as the path exists, so that one folder has one hash.
func resolved(path string) string {
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return path
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// socketFolder is run/ in the cluster's folder, or, where that name is too long for a socket, a short temporary one.
func socketFolder(p place) (dir string, temporary bool, err error) {
	dir = filepath.Join(p.dir, "run")
	name := filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(socketPort))
	if len(name) <= longestPath {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", false, fmt.Errorf("make the socket's folder: %w", err)
		}
	} else {
		temporary = true
		if dir, err = os.MkdirTemp("/tmp", "pg"); err != nil {
			return "", false, fmt.Errorf("make a short folder for the socket: %w", err)
		}
	}
	if err := p.give(dir); err != nil {
		return "", temporary, fmt.Errorf("give the socket's folder to its user: %w", err)
	}
	return dir, temporary, nil
}
