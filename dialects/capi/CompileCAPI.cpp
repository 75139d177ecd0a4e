//===- CompileCAPI.cpp - runs htvm's commands on modules ------------------------===//
// SPDX-License-Identifier: Apache-2.0
//===----------------------------------------------------------------------===//

#include "htvm-c/Compile.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

extern char **environ;

namespace {

std::string &toolFolder() {
  static std::string folder;
  return folder;
}

std::string text(MlirStringRef given) { return {given.data, given.length}; }

/// Return the path of a command, or its name, which is then looked for on PATH.
std::string tool(const char *name) {
  const char *stated = std::getenv("HTVM_TOOLS");
  std::string folder = toolFolder().empty() && stated ? stated : toolFolder();
  return folder.empty() ? name : (std::filesystem::path(folder) / name).string();
}

/// A folder for the files that pass between the processes; it goes with the object.
class Scratch {
public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "htvm-XXXXXX").string();
    if (const char *made = mkdtemp(pattern.data()))
      folder = made;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!folder.empty())
      std::filesystem::remove_all(folder, ignored);
  }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  explicit operator bool() const { return !folder.empty(); }
  std::string file(const char *name) const { return (folder / name).string(); }

private:
  std::filesystem::path folder;
};

std::string content(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void tell(const std::string &said, MlirStringCallback message, void *userData) {
  if (message && !said.empty())
    message(mlirStringRefCreate(said.data(), said.size()), userData);
}

/// Run a command; what it prints goes to `message`. Returns whether it succeeded.
bool run(const std::vector<std::string> &words, const Scratch &scratch, MlirStringCallback message, void *userData) {
  std::vector<char *> arguments;
  for (const std::string &word : words)
    arguments.push_back(const_cast<char *>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string log = scratch.file("log");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) {
    tell(words[0] + ": " + std::strerror(failed) + ": install htvm, or name the folder of its commands in HTVM_TOOLS\n",
         message, userData);
    return false;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return false;
  tell(content(log), message, userData);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Write a module as bytecode. Returns whether that succeeded.
bool write(MlirModule module, const std::string &path) {
  std::ofstream file(path, std::ios::binary);
  auto append = [](MlirStringRef part, void *to) {
    static_cast<std::ofstream *>(to)->write(part.data, static_cast<std::streamsize>(part.length));
  };
  mlirOperationWriteBytecode(mlirModuleGetOperation(module), append, &file);
  file.close();
  return static_cast<bool>(file);
}

} // namespace

void htvmSetToolFolder(MlirStringRef folder) { toolFolder() = text(folder); }

MlirModule htvmRunPipeline(MlirModule module, MlirStringRef pipeline, MlirStringRef target, MlirStringCallback message,
                           void *userData) {
  const Scratch scratch;
  const std::string source = scratch.file("module.mlirbc"), result = scratch.file("result.mlirbc");
  if (!scratch || !write(module, source)) {
    tell("htvm: cannot write a temporary file\n", message, userData);
    return {nullptr};
  }
  std::vector<std::string> words = {tool("htvm-opt"), source, "--emit-bytecode", "-o", result, "-p", text(pipeline)};
  if (target.length)
    words.insert(words.end(), {"--target", text(target)});
  if (!run(words, scratch, message, userData))
    return {nullptr};
  const std::string bytes = content(result);
  return mlirModuleCreateParse(mlirModuleGetContext(module), mlirStringRefCreate(bytes.data(), bytes.size()));
}

MlirLogicalResult htvmCompile(MlirModule module, MlirStringRef target, MlirStringRef function, MlirStringRef folder,
                              MlirStringCallback message, void *userData) {
  const Scratch scratch;
  const std::string source = scratch.file("module.mlirbc");
  if (!scratch || !write(module, source)) {
    tell("htvm: cannot write a temporary file\n", message, userData);
    return mlirLogicalResultFailure();
  }
  std::vector<std::string> words = {tool("htvm"), "compile", source, "--target", text(target), "-o", text(folder)};
  if (function.length)
    words.insert(words.end(), {"--function", text(function)});
  return run(words, scratch, message, userData) ? mlirLogicalResultSuccess() : mlirLogicalResultFailure();
}
