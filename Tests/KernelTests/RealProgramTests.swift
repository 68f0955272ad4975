import Foundation
import Testing

extension KernelSuite {
    /// Programs people use do in a supervised tree, with every mechanism at work, what they do without.
    @Suite("Real programs")
    struct RealProgramTests {
        /// Rules of every section, none of them about what the programs do.
        private static let own = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: permissive, namespace: default}
            spec:
              selector: {matchLabels: {app: any}}
              process:
                matchPaths: [{path: "@/bin/denied"}, {execname: nobody-has-this}]
                matchDirectories: [{dir: "@/prot/", recursive: true}]
              file:
                matchPaths: [{path: "@/prot/secret"}, {path: /etc/nobody-has-this, readOnly: true}]
                matchDirectories: [{dir: "@/prot/", recursive: true}]
                matchPatterns: [{pattern: "@/prot/**/*.key"}]
              network:
                matchProtocols:
                  - {protocol: tcp, fromSource: [{path: /usr/bin/nobody-has-this}]}
                  - {protocol: udp, fromSource: [{path: /usr/bin/nobody-has-this}]}
                  - {protocol: raw, fromSource: [{path: /usr/bin/nobody-has-this}]}
                matchDNSQueries: [{domain: nobody-has-this.example}]
              capabilities:
                matchCapabilities:
                  - {capability: setuid, fromSource: [{path: /usr/bin/nobody-has-this}]}
                  - {capability: setgid, fromSource: [{path: /usr/bin/nobody-has-this}]}
                  - {capability: mknod, fromSource: [{path: /usr/bin/nobody-has-this}]}
              syscalls:
                matchSyscalls: [{syscall: [reboot, swapon]}]
              action: Block

            """

        struct Program: Sendable, CustomTestStringConvertible {
            var name: String
            /// What bash runs in an empty directory; `$PORT` is a free one.
            var script: String
            var testDescription: String { name }
        }

        private static let programs = [
            Program(
                name: "bash",
                script: """
                    set -e
                    for i in $(seq 50); do echo "$i" >> list; done
                    sort -rn < list | head -3 | tee top; cat <(echo sub) | tee >(cat > side) | tr a-z A-Z; wait
                    mkfifo pipe; (echo through > pipe) & cat pipe; wait
                    mkdir -p a/b/c; cp -a a copy; mv copy moved; ln -s a link; ln list hard; touch -d @0 list; stat -c %Y:%h list
                    chmod 640 list; stat -c %a list; rm -r moved a link; ls; trap 'echo trapped' TERM; kill -TERM $$
                    (exit 7) || echo $?; umask 077; : > private; stat -c %a private; exec 3<> list; echo over >&3; head -c 5 list
                    truncate -s 3 list; wc -c < list; ulimit -n; exit 9
                    """),
            Program(
                name: "python3",
                script: """
                    cat > t.py <<'END'
                    import os, shutil, socket, sqlite3, subprocess, sys, tempfile, threading
                    with tempfile.TemporaryDirectory(dir='.') as d:
                        c = sqlite3.connect(d + '/x.db'); c.execute('create table t (a int, b text)')
                        c.executemany('insert into t values (?, ?)', [(i, 'x' * i) for i in range(500)]); c.commit()
                        print(c.execute('select count(*), sum(length(b)) from t').fetchone()); c.close()
                        for n in range(100): open(f'{d}/{n}', 'w').write(str(n))
                        print(sum(int(open(f'{d}/{n}').read()) for n in range(100)), len(os.listdir(d)))
                    print(subprocess.run(['sh', '-c', 'echo child; exit 3'], capture_output=True))
                    s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
                    def serve():
                        c, _ = s.accept(); c.sendall(c.recv(100).upper()); c.close()
                    t = threading.Thread(target=serve); t.start()
                    c = socket.create_connection(('127.0.0.1', int(os.environ['PORT']))); c.sendall(b'tcp'); print(c.recv(100)); t.join()
                    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); u.sendto(b'udp', u.getsockname()); print(u.recv(10))
                    x = socket.socket(socket.AF_UNIX); x.bind('sock'); x.listen(); y = socket.socket(socket.AF_UNIX); y.connect('sock'); y.sendall(b'unix')
                    z = x.accept()[0]; print(z.recv(10), z.getsockopt(socket.SOL_SOCKET, 17, 12)[4:8])
                    for call in (lambda: open('none'), lambda: os.rmdir('.'), lambda: os.link('t.py', 't.py'), lambda: os.unlink('none/x')):
                        try: call()
                        except OSError as e: print(type(e).__name__, e.errno)
                    shutil.copytree('.', 'tree', ignore=shutil.ignore_patterns('tree', 'sock')); print(sorted(os.listdir('tree')))
                    pid = os.fork()
                    if pid == 0:
                        os.setgroups([]); os.setresgid(1234, 1234, 1234); os.setresuid(1234, 1234, 1234)
                        try: open('t.py', 'a')
                        except PermissionError as e: print(e.errno, flush=True)
                        os._exit(0)
                    os.waitpid(pid, 0); sys.exit(5)
                    END
                    python3 t.py
                    """),
            Program(
                name: "python3's sockets", script: "python3 \(TestFiles.package)/integration/programs/sockets.py $PORT"),
            Program(
                name: "git",
                script: """
                    set -e
                    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a
                    export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' GIT_CONFIG_GLOBAL=/dev/null
                    git init -q -b main one; cd one; for i in $(seq 100); do echo $i > f$i; done
                    git add .; git commit -qm first; git mv f1 g1; git rm -q f2; git commit -qam second
                    cd ..; git clone -q one two; cd two; git log --format='%H %s'; git status --short; ls | wc -l
                    git checkout -q -b side; echo x >> g1; git commit -qam side; git checkout -q main; git merge -q side; git rev-parse HEAD
                    git gc -q; git fsck; git grep -c 7 | sort | tail -2
                    """),
            Program(
                name: "gcc and make",
                script: """
                    set -e
                    printf '%s\\n' '#include "b.h"' 'int main(void) { return print(); }' > a.c
                    printf '%s\\n' '#include <stdio.h>' '#include "b.h"' 'int print(void) { return puts("built") < 0; }' > b.c
                    echo 'int print(void);' > b.h
                    printf 'CFLAGS = -O2 -Wall\\nprogram: a.o b.o\\n\\t$(CC) -o $@ $^\\na.o b.o: b.h\\nclean:\\n\\trm -f *.o program\\n' > Makefile
                    make -j2 2>&1 | sort; ./program; make; touch b.h; make -j2 > /dev/null; ./program; make clean; ls
                    echo 'int main(void) { return x; }' > bad.c; gcc bad.c; echo $?
                    """),
            Program(
                name: "apt-get", script: "apt-get --simulate install apt 2>&1 | tail -3; apt-cache policy apt | head -3"
            ),
            Program(
                name: "nginx",
                script: """
                    mkdir logs html; seq 1000 > html/index.html
                    cat > nginx.conf <<END
                    worker_processes 2; pid $PWD/nginx.pid; error_log $PWD/logs/error.log; daemon on;
                    events {}
                    http {
                        access_log $PWD/logs/access.log; client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2;
                        fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5;
                        server { listen 127.0.0.1:$PORT; root $PWD/html; }
                    }
                    END
                    chmod 755 . html; nginx -e $PWD/logs/error.log -c $PWD/nginx.conf; echo "started $?"
                    fetch() { exec 3<> /dev/tcp/127.0.0.1/$PORT; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' $1 >&3; tr -d '\\r' <&3 | sed -n '1p;/^Content-Length/p;$p'; exec 3<&-; }
                    fetch /; fetch /none; for i in $(seq 20); do fetch / > /dev/null; done
                    kill -QUIT $(cat nginx.pid); for i in $(seq 100); do [ -e nginx.pid ] || break; sleep 0.05; done
                    wc -l < logs/access.log; grep -v notice logs/error.log | sed 's/.*\\] //; s/^[0-9#]*: //' | cut -d' ' -f1-3
                    """),
            Program(
                name: "redis",
                script: """
                    redis-server --port $PORT --bind 127.0.0.1 --dir $PWD --daemonize yes --appendonly yes --save '' --logfile $PWD/log > /dev/null
                    cli() { redis-cli -p $PORT "$@"; }
                    for i in $(seq 100); do [ "$(cli ping 2> /dev/null)" = PONG ] && break; sleep 0.05; done
                    cli set a 1; cli incr a; for i in $(seq 50); do cli rpush l $i > /dev/null; done; cli lrange l 0 2; cli save; cli bgrewriteaof
                    for i in $(seq 100); do cli info persistence | grep -q 'aof_rewrite_in_progress:0' && break; sleep 0.05; done
                    cli info persistence | tr -d '\\r' | grep -E 'rdb_last_bgsave_status|aof_last_(bgrewrite|write)_status'
                    cli shutdown; ls | grep -v log | sort
                    redis-server --port $PORT --bind 127.0.0.1 --dir $PWD --daemonize yes --appendonly yes --logfile $PWD/log2 > /dev/null
                    for i in $(seq 100); do [ "$(cli ping 2> /dev/null)" = PONG ] && break; sleep 0.05; done
                    cli get a; cli llen l; cli shutdown nosave
                    """),
        ]

        /// What an agent decides with, and whose it is.
        enum Agent: CaseIterable {
            case events, callsOnly, rootless

            var options: [String] {
                switch self {
                case .events: []
                case .callsOnly: ["--calls-only"]
                case .rootless: ["--rootless"]
                }
            }
        }

        @Test(arguments: programs, Agent.allCases)
        func itDoesWhatItDoesWithoutUs(program: Program, mode: Agent) throws {
            let scratch = try Scratch(ownedBy: mode == .rootless ? Scratch.user : nil)
            let agent = try AgentUnderTest(
                scratch,
                policies: ["p.yaml": AgentUnderTest.policy(file: "matchPaths: [{path: \"@/prot/sub/deep\"}]")],
                options: mode.options)
            let policy = scratch.outside + "/own.yaml"
            try Self.own.replacingOccurrences(of: "@", with: scratch.root)
                .write(toFile: policy, atomically: true, encoding: .utf8)
            let script = scratch.path("bin/script")
            try scratch.write("bin/script", program.script)
            let port = 20_000 + 10 * Int.random(in: 0..<1000)
            func words(_ directory: String, _ port: Int) -> [String] {
                // The same name for both: some programs print it.
                let place = scratch.path("work/here")
                return [
                    "timeout", "60", "bash", "-c",
                    "rm -rf \(place); mkdir \(place); cd \(place); export PORT=\(port); exec bash \(script)",
                ]
            }
            let plain = Shell.run(scratch.enter + words("plain", port))
            let supervised = agent.tool(["run", "--policies", policy, "--"] + words("tree", port + 5))
            #expect(supervised.output == plain.output)
            #expect(supervised.status == plain.status)
            func own(_ text: String) -> [Substring] {
                text.split(separator: "\n").filter { !$0.hasPrefix("portcullis: permissive") }
            }
            #expect(own(supervised.error) == own(plain.error))
            #expect(!plain.output.isEmpty)
            #expect(agent.alerts().isEmpty, "\(agent.alerts().map(\.fields))")
        }
    }
}
