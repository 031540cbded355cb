#   make install PREFIX=/usr DESTDIR=/tmp/image
PREFIX  ?= /usr/local
DESTDIR ?=
SHARE    = $(DESTDIR)$(PREFIX)/share
LIB      = $(DESTDIR)$(PREFIX)/lib
ABIS     = 5.4 5.1

install: all ## install modules, core and the `epoch` command; PREFIX=/usr/local, DESTDIR=
	@set -e; for abi in $(ABIS); do \
	  (cd lua && find . -name '*.lua') | while read -r f; do \
	    install -D -m 644 lua/$$f $(SHARE)/lua/$$abi/$$f; done; \
	  for part in $(PARTS); do \
	    install -D -m 755 $(BUILD)/lua/$$abi/epoch/$$part.so $(LIB)/lua/$$abi/epoch/$$part.so; done; \
	done
	@install -D -m 644 epoch.lua $(SHARE)/epoch/epoch.lua
	@install -d $(DESTDIR)$(PREFIX)/bin
	@sed 's|@PREFIX@|$(PREFIX)|g' packaging/epoch.sh >$(DESTDIR)$(PREFIX)/bin/epoch
	@chmod 755 $(DESTDIR)$(PREFIX)/bin/epoch
	@echo "Installed below $(DESTDIR)$(PREFIX): share/lua/{5.4,5.1}, lib/lua/{5.4,5.1}, share/epoch, bin/epoch"

uninstall: ## remove what `make install` put there
	@for abi in $(ABIS); do \
	  rm -rf $(SHARE)/lua/$$abi/epoch $(LIB)/lua/$$abi/epoch; rm -f $(SHARE)/lua/$$abi/epoch.lua; done
	@rm -rf $(SHARE)/epoch $(DESTDIR)$(PREFIX)/bin/epoch

install-check: ## try install and luarocks in scratch directories, on both VMs
	sh packaging/install-check.sh

chroot-test: ## run the README's commands in a bare Debian 12 (root, debootstrap)
	bash packaging/debootstrap-test.sh

.PHONY: install uninstall install-check chroot-test
