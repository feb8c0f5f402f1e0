package browser

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postern/internal/e2e/world"
	"postern/web/ui"
)

// TestWithoutLibrary builds the program without the browser's library and
// reports to it: nothing is said to be encrypted in the browser. In make soak.
func TestWithoutLibrary(t *testing.T) {
	inSoak(t, "binary", func(t *testing.T) {
		world.Need(t, "chromium")
		root, err := filepath.Abs("../../..")
		if err != nil {
			t.Fatal(err)
		}
		gone := map[string]string{}
		files, _ := filepath.Glob(filepath.Join(root, "web/static/vendor/*"))
		for _, f := range files {
			gone[f] = ""
		}
		dir := t.TempDir()
		b, err := json.Marshal(map[string]any{"Replace": gone})
		if err != nil {
			t.Fatal(err)
		}
		overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "postern")
		if err := os.WriteFile(overlay, b, 0o600); err != nil {
			t.Fatal(err)
		}
		build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", program, "./cmd/postern")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build without the library: %v\n%s", err, out)
		}
		free := func() string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			return l.Addr().String()
		}
		gate := free()
		run := exec.Command(program, "demo")
		run.Env = append(os.Environ(), "POSTERN_DATA="+filepath.Join(dir, "data"), "POSTERN_GATE_ADDR="+gate, "POSTERN_DESK_ADDR="+free(), "POSTERN_MAIL_ADDR="+free())
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = run.Process.Signal(syscall.SIGINT)
			_ = run.Wait()
		})
		for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
			if answer, err := http.Get("http://" + gate + "/report"); err == nil {
				answer.Body.Close()
				if answer.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(began) > 2*time.Minute {
				t.Fatal("the program does not serve the form")
			}
		}
		tab := world.NewTab(t)
		tab.Open("http://" + gate + "/report")
		tab.Type("#description", "Nothing is encrypted here.")
		if visible(tab, "#protected-browser") || !visible(tab, "#protected-sealed") {
			t.Error("without the library the page says that it encrypts in the browser")
		}
		if status := tab.Submit(form); status != http.StatusCreated {
			t.Fatalf("the form answers %d: %s", status, tab.Text())
		}
		tab.Sees(ui.English.Receipt.ProtectionSealed)
		tab.Click("#code-kept")
	})
}
